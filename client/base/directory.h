// Directories and their entries, by descriptor. Links are never followed, removal never leaves the disk that
// it began on, and new directories are private (0700). `shown` is the path for messages. Every failure is
// Error{kFailed} unless another kind is named. No state; any thread.
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
// Looks at the entry itself, never at a link's target; nullopt when there is no such entry.
std::optional<struct stat> look_at_entry(int dir_fd, const std::string& name, const std::string& shown);
bool is_file_type(const struct stat& info, mode_t type);

std::vector<std::string> names_in(int dir_fd, const std::string& shown);  // sorted

// True when this call made it, false when something already had that name.
bool make_dir(int dir_fd, const std::string& name, const std::string& shown);
// Makes the missing directories above it first. Each is on disk before the next is made.
void make_dirs(const std::string& path);
std::string parent_of(const std::string& path);  // "." when the path names none

void sync_dir(const std::string& path);
// Flushes the directories below it first, then the directory itself. Writers flush their own files.
void sync_tree(int dir_fd, const std::string& shown);

// Succeeds when there is no such entry.
void unlink_entry(int dir_fd, const std::string& name, int flags, const std::string& shown);
// Removes an entry with all that is below it. If it is interrupted, a smaller tree is left under the same
// name. kRefused when part of it is on another disk than `device`.
void remove_below(int dir_fd, const std::string& name, dev_t device, const std::string& shown);

struct Place {
  Fd dir;
  std::string leaf;
};

// Opens the directory that holds `name`, a path below `top_fd`, through real directories only. With `make` it
// makes the missing ones.
Place find_place(int top_fd, const std::string& name, bool make, const std::string& shown);

// Renames unless `to` exists. Some file systems cannot do that in one step. There `to` is looked up first,
// and the caller's lock must keep others from making it in between. `action` is for the message.
void rename_new(int from_fd, const std::string& from, int to_fd, const std::string& to,
                const std::string& action);
// Renames in one step, and replaces `to` if it exists.
void rename_over(int from_fd, const std::string& from, int to_fd, const std::string& to,
                 const std::string& action);

}  // namespace litepull
