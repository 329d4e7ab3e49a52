// What a file or a directory is, whatever it is called.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <compare>

namespace litepull {

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  auto operator<=>(const FileId&) const = default;
};

inline FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino};
}

}  // namespace litepull
