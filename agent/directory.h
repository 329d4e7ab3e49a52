// An open directory, for readdir(3).
#pragma once

#include <dirent.h>

#include <memory>

namespace litepull {

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

}  // namespace litepull
