// Directories and the entries in them, by descriptor: links are never followed, removal never leaves the disk
// it began on, and what is made is private (0700). Every failure is Error{kFailed} with the path that `shown`
// gives, unless another kind is named. No state; any thread.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "common/posix.h"

namespace litepull {

inline constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
inline constexpr mode_t kDirMode = 0700;
inline constexpr mode_t kFileMode = 0600;

struct stat look_at(int fd, const std::string& shown);
// Of the entry itself, never of a link's target; nullopt when there is no such entry.
std::optional<struct stat> look_at_entry(int dir_fd, const std::string& name, const std::string& shown);
bool is_file_type(const struct stat& info, mode_t type);

std::vector<std::string> names_in(int dir_fd, const std::string& shown);  // sorted

// True when it was made, false when something of that name was there.
bool make_dir(int dir_fd, const std::string& name, const std::string& shown);
// With those above it, each on disk before the next is made.
void make_dirs(const std::string& path);
std::string parent_of(const std::string& path);  // "." when the path names none

void sync_dir(const std::string& path);
// The directories below first, then the one that holds them. Files are their writers' to flush.
void sync_tree(int dir_fd, const std::string& shown);

// Nothing of that name is success.
void unlink_entry(int dir_fd, const std::string& name, int flags, const std::string& shown);
// An entry with all that is below it. Interrupted at any point it leaves a smaller tree under the same name.
// kRefused when something of it is on another disk than `device`.
void remove_below(int dir_fd, const std::string& name, dev_t device, const std::string& shown);

struct Place {
  Fd dir;
  std::string leaf;
};

// Walks to the directory that holds `name`, a path below `top_fd`, through real directories only; with `make`
// those that are missing are made.
Place find_place(int top_fd, const std::string& name, bool make, const std::string& shown);

// Renames unless `to` exists. Where the file system cannot do that in one step it is looked at before;
// whoever could make `to` in between must be kept from it by a lock. `action` is for the message.
void rename_new(int from_fd, const std::string& from, int to_fd, const std::string& to,
                const std::string& action);
// In one step, in the place of `to` when that exists.
void rename_over(int from_fd, const std::string& from, int to_fd, const std::string& to,
                 const std::string& action);

std::string random_hex();  // 16 digits

}  // namespace litepull
