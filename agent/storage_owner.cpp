#include "agent/storage_owner.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "agent/database_header.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxEntries = 50'000;  // on all levels together; the app's uploads may lie there too

Fd open_below(int directory_fd, const char* name, int flags) {
  return Fd(openat(directory_fd, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

// This looks at the open file, because its name may lead to another one a moment later.
bool is_database(int fd, struct stat& status) {
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1) return false;
  std::uint8_t head[kDatabaseMagic.size()];
  return pread(fd, head, sizeof head, 0) == static_cast<ssize_t>(sizeof head) && has_database_magic(head);
}

class Search {
 public:
  explicit Search(const std::string& shown) : shown_(shown) {}

  Owner run() {
    for (int depth = 0; depth <= kMaxDepth && counts_.empty() && deeper_; ++depth) {
      deeper_ = false;
      look(open_path(".", O_RDONLY | O_DIRECTORY), depth);
    }
    return counts_.empty() ? of_directory() : most_common();
  }

 private:
  // Looks at what lies `depth` levels below that directory.
  void look(Fd fd, int depth) {
    struct stat status {};
    const DirectoryStream directory(fstat(fd.get(), &status) == 0 ? fdopendir(fd.get()) : nullptr);
    if (!directory) return;
    fd.release();  // closedir closes it
    way_.push_back(status);
    while (const dirent* entry = readdir(directory.get())) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      if (++entries_ > kMaxEntries) break;
      visit(dirfd(directory.get()), entry->d_name, depth);
    }
    way_.pop_back();
  }

  void visit(int directory_fd, const char* name, int depth) {
    struct stat status {};
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISDIR(status.st_mode)) {
      if (depth == 0) deeper_ = true;
      if (depth == 0) return;
      if (Fd below = open_below(directory_fd, name, O_DIRECTORY)) look(std::move(below), depth - 1);
    } else if (depth == 0 && S_ISREG(status.st_mode) && status.st_size >= kMinDatabaseBytes) {
      const Fd file = open_below(directory_fd, name, 0);
      if (file && is_database(file.get(), status)) count(status);
    }
  }

  void count(const struct stat& database) {
    const Owner owner{database.st_uid, database.st_gid};
    if (owner.uid == 0) {
      roots_ = true;
      return;
    }
    const auto open_to_others = std::find_if(way_.begin(), way_.end(), [&](const struct stat& directory) {
      return !is_controlled_by(directory, owner, false);
    });
    if (open_to_others == way_.end()) {
      ++counts_[{owner.uid, owner.gid}];
    } else if (!unsafe_) {
      unsafe_ = unsafe(*open_to_others, owner);
    }
  }

  Error unsafe(const struct stat& directory, const Owner& owner) const {
    return Error(ErrorKind::kRefused,
                 "others than the databases' owner, user " + std::to_string(owner.uid) + ", may add to " +
                     shown_ + " or a directory below it, which belongs to user " +
                     std::to_string(directory.st_uid) +
                     ": what they put there would be read with that owner's rights",
                 "as root there: chown " + std::to_string(owner.uid) +
                     " that directory, and chmod go-w it; or set SERVER_USER to the databases' owner");
  }

  Owner most_common() const {
    const auto most = std::max_element(counts_.begin(), counts_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return {most->first.first, most->first.second};
  }

  Owner of_directory() const {
    if (unsafe_) throw Error(*unsafe_);
    if (roots_)
      throw Error(ErrorKind::kRefused,
                  "the databases in " + shown_ +
                      " belong to root, and sudo's rule does not lend root's rights on them",
                  "set SERVER_USER=root and REMOTE_SUDO=no, or give them to the user that the app runs as");
    struct stat status {};
    if (stat(".", &status) != 0) throw_errno("look at " + shown_);
    if (status.st_uid == 0)
      throw Error(
          ErrorKind::kRefused,
          shown_ + " holds no database and belongs to root, so that nobody is known to be the app's user",
          "chown it to the user that the app runs as, or set SERVER_USER=root and REMOTE_SUDO=no");
    return {status.st_uid, status.st_gid};
  }

  const std::string& shown_;
  std::vector<struct stat> way_;  // the current directory and those that it lies in
  std::size_t entries_ = 0;
  bool deeper_ = true;  // true when there are directories on the next level
  bool roots_ = false;
  std::optional<Error> unsafe_;
  std::map<std::pair<uid_t, gid_t>, int> counts_;
};

}  // namespace

Owner owner_of_storage(const std::string& shown) {
  return Search(shown).run();
}

bool is_controlled_by(const struct stat& directory, const Owner& owner, bool sticky_will_do) {
  if (directory.st_uid != 0 && directory.st_uid != owner.uid) return false;
  if (sticky_will_do && (directory.st_mode & S_ISVTX) != 0) return true;
  const bool own_group = directory.st_gid == 0 || directory.st_gid == owner.gid;
  return (directory.st_mode & S_IWOTH) == 0 && ((directory.st_mode & S_IWGRP) == 0 || own_group);
}

}  // namespace litepull
