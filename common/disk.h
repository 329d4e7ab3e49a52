// File systems and directories: how much room there is, blocks that two files share, and open directories for
// readdir(3).
#pragma once

#include <dirent.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace litepull {

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  // for this user: without what is reserved for root
};

// Of the file system that holds the open file or the path; nullopt, with errno set, when it cannot be asked.
std::optional<DiskSpace> disk_space(int fd);
std::optional<DiskSpace> disk_space(const std::string& path);
// The same, where nothing goes on without the answer: throws Error{kFailed} that names `shown`.
std::uint64_t free_bytes_on(int fd, const std::string& shown);

// Gives the empty file `to` the content of `from` without copying it, so that both share their blocks until
// one of them is written (FICLONE). False, with `to` unchanged, where the file system cannot do that.
bool share_blocks(int from, int to);

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

}  // namespace litepull
