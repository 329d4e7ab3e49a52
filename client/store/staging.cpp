#include "client/store/staging.h"

#include <sys/stat.h>
#include <unistd.h>

#include "client/base/directory.h"
#include "client/store/snapshot_files.h"
#include "client/store/store.h"
#include "common/database_name.h"
#include "common/error.h"

namespace litepull {
namespace {

// Removes everything but our databases from an interrupted run's directory, and collects their names. A file
// with several links is removed too, since writing into it would change another file.
void keep_databases(int dir_fd, const std::string& below, dev_t device, const std::string& shown,
                    std::vector<std::string>& found) {
  for (const std::string& leaf : names_in(dir_fd, shown)) {
    const std::string name = below + leaf, path = shown + "/" + leaf;
    const auto info = look_at_entry(dir_fd, leaf, path);
    if (!info) continue;
    if (is_file_type(*info, S_IFDIR) && info->st_dev == device && name != kHashesName) {
      keep_databases(open_at(dir_fd, leaf, kDirFlags, 0, path).get(), name + "/", device, path, found);
      ::unlinkat(dir_fd, leaf.c_str(), AT_REMOVEDIR);  // fails when a database was kept in it
    } else if (is_file_type(*info, S_IFREG) && info->st_nlink == 1 && info->st_uid == ::geteuid() &&
               is_database_name(name)) {
      found.push_back(name);
    } else {
      remove_below(dir_fd, leaf, device, path);
    }
  }
}

}  // namespace

Staging::~Staging() {
  if (!dir_ || kept_) return;
  try {
    store_->remove_tree(name_);
  } catch (const std::exception&) {
    // A destructor cannot report it; the next sweep tries again.
  }
}

std::uint64_t Staging::bytes() const {
  return sizes_below(fd(), look_at(fd(), path_).st_dev, path_).bytes;
}

Fd Staging::open_file(const std::string& name) const {
  require_database_name(name);
  const std::string path = path_ + "/" + name;
  const Place place = find_place(fd(), name, true, path_);
  Fd fd = open_at(place.dir.get(), place.leaf, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, kFileMode, path);
  const struct stat info = look_at(fd.get(), path);
  if (!is_file_type(info, S_IFREG) || info.st_nlink != 1)
    throw Error(ErrorKind::kRefused, path + " is not a file of ours", "remove that directory");
  if ((info.st_mode & 07777) != kFileMode && retry_eintr([&] { return ::fchmod(fd.get(), kFileMode); }) != 0)
    throw_errno("make private " + path);
  return fd;
}

Fd Staging::create_hash_file(const std::string& name) const {
  require_database_name(name);
  const std::string path = hash_file_of(name);
  const Place place = find_place(fd(), path, true, path_);
  return open_at(place.dir.get(), place.leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, kFileMode,
                 path_ + "/" + path);
}

void Staging::discard_file(const std::string& name) const {
  require_database_name(name);
  discard(name);
  discard(hash_file_of(name));
}

void Staging::discard(const std::string& path) const {
  unlink_entry(fd(), path, 0, path_ + "/" + path);
  std::string dir = path;
  for (std::size_t slash; (slash = dir.rfind('/')) != std::string::npos;) {
    dir.resize(slash);
    if (::unlinkat(fd(), dir.c_str(), AT_REMOVEDIR) != 0) return;  // another database is in it
  }
}

// When it throws, the directory is left for the next run.
void Staging::keep_only_databases(dev_t device) {
  kept_ = true;
  keep_databases(fd(), "", device, path_, leftovers_);
  kept_ = false;
}

}  // namespace litepull
