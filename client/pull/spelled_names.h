// Which names are one on the disk at hand: some file systems pass over case, some over Unicode's normal
// forms, and no table here knows all of their rules. So it is found out from the files themselves.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace litepull {

// The names of databases below one directory, each of which is a file there when it is added. `dir_fd` is
// borrowed. Throws Error{kFailed} when the disk cannot be looked at.
class SpelledNames {
 public:
  SpelledNames(int dir_fd, std::string shown) : dir_fd_(dir_fd), shown_(std::move(shown)) {}

  // The name that is one with `name`, or with a directory of it, on this disk, though it is spelled
  // otherwise: of another database or of its directory, or one that is ours in a snapshot. Then `name` is not
  // added.
  std::optional<std::string> add(const std::string& name);
  // Whether the file that answers to `name` is one that was added.
  bool has_file_of(const std::string& name) const;

 private:
  using Inode = std::pair<dev_t, ino_t>;
  std::optional<Inode> inode_of(const std::string& path) const;
  std::optional<std::string> other_name_of(const Inode& inode, const std::string& spelled) const;

  const int dir_fd_;
  const std::string shown_;
  std::map<Inode, std::string> seen_;
};

// For a message: both names, in bytes where they might look alike, and what may be behind it.
std::string same_names(const std::string& name, const std::string& other);

}  // namespace litepull
