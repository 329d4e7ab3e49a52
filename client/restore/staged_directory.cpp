#include "client/restore/staged_directory.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxStagedNameBytes = 200;  // of the 255 that a name may have

}  // namespace

bool try_lock(int fd, const std::string& shown) {
  if (retry_eintr([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) return true;
  if (errno != EWOULDBLOCK) throw_errno("lock " + shown);
  return false;
}

StagedDirectory::StagedDirectory(const std::string& parent, const std::string& name)
    : parent_path_(parent),
      parent_(open_path(parent, O_RDONLY | O_DIRECTORY)),
      prefix_("." + name.substr(0, kMaxStagedNameBytes) + ".litepull-") {
  sweep();
  while (!make()) {
  }
}

StagedDirectory::~StagedDirectory() {
  if (dir_) (void)error_of([&] { remove(name_); });  // else the next one tries again
}

void StagedDirectory::move_to(const std::string& name) {
  sync_tree(dir_.get(), path());
  rename_new(parent_.get(), name_, parent_.get(), name, "put " + path_of(name) + " in place");
  const auto failure = error_of([&] { fsync_fd(parent_.get(), parent_path_); });
  if (!failure) return dir_.reset();
  // The caller will report that there is nothing: make it true.
  if (::renameat(parent_.get(), name.c_str(), parent_.get(), name_.c_str()) == 0) throw Error(*failure);
  dir_.reset();
  throw Error(
      failure->kind(),
      failure->message() + "; " + path_of(name) + " is there, and whole, but may be gone after a power cut",
      failure->hint());
}

std::string StagedDirectory::path_of(const std::string& name) const {
  return (parent_path_ == "/" ? "" : parent_path_) + "/" + name;
}

void StagedDirectory::remove(const std::string& name) const {
  remove_below(parent_.get(), name, look_at(parent_.get(), parent_path_).st_dev, path_of(name));
}

// False when another one's sweep took it for a left one before it was locked.
bool StagedDirectory::make() {
  name_ = prefix_ + random_hex();
  if (!make_dir(parent_.get(), name_, path())) return false;
  Fd fd(retry_eintr([&] { return ::openat(parent_.get(), name_.c_str(), kDirFlags | O_CLOEXEC); }));
  if (!fd && errno != ENOENT) throw_errno("open " + path());
  if (!fd || !try_lock(fd.get(), path()) || !look_at_entry(parent_.get(), name_, path())) return false;
  dir_ = std::move(fd);
  return true;
}

void StagedDirectory::sweep() const {
  for (const std::string& name : names_in(parent_.get(), parent_path_)) {
    if (!name.starts_with(prefix_)) continue;
    const auto info = look_at_entry(parent_.get(), name, path_of(name));
    if (!info || !is_file_type(*info, S_IFDIR) || info->st_uid != ::geteuid()) continue;
    const Fd fd(::openat(parent_.get(), name.c_str(), kDirFlags | O_CLOEXEC));
    if (!fd || !try_lock(fd.get(), path_of(name))) continue;
    (void)error_of([&] { remove(name); });  // one that cannot be removed is in nobody's way
  }
}

}  // namespace litepull
