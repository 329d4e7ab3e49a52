#include "client/base/directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "common/disk.h"
#include "common/error.h"

#ifdef __linux__
#include <sys/syscall.h>
#endif

namespace litepull {
namespace {

// Renames unless `to` exists. -1 with errno EINVAL, ENOSYS or ENOTSUP where that is not one system call.
int rename_exclusive(int from_fd, const char* from, int to_fd, const char* to) {
#if defined(__linux__) && defined(SYS_renameat2)
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE; a number, because older C libraries lack the name
  return static_cast<int>(::syscall(SYS_renameat2, from_fd, from, to_fd, to, kNoReplace));
#elif defined(RENAME_EXCL)
  return ::renameatx_np(from_fd, from, to_fd, to, RENAME_EXCL);
#else
  (void)from_fd, (void)from, (void)to_fd, (void)to;
  errno = ENOSYS;
  return -1;
#endif
}

void empty_dir(int dir_fd, dev_t device, const std::string& shown) {
  const struct stat info = look_at(dir_fd, shown);
  if (info.st_dev != device)
    throw Error(ErrorKind::kRefused, "cannot remove " + shown + ": it is on another disk",
                "unmount it first");
  // Somebody or rsync may have made it read-only. The caller has decided to remove it nevertheless.
  if ((info.st_mode & S_IRWXU) != S_IRWXU && retry_eintr([&] { return ::fchmod(dir_fd, kDirMode); }) != 0)
    throw_errno("make writable " + shown);
  for (const std::string& name : names_in(dir_fd, shown))
    remove_below(dir_fd, name, device, shown + "/" + name);
}

}  // namespace

struct stat look_at(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("look at " + shown);
  return info;
}

std::optional<struct stat> look_at_entry(int dir_fd, const std::string& name, const std::string& shown) {
  struct stat info {};
  if (::fstatat(dir_fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return info;
  if (errno == ENOENT) return std::nullopt;
  throw_errno("look at " + shown);
}

bool is_file_type(const struct stat& info, mode_t type) {
  return (info.st_mode & S_IFMT) == type;
}

std::vector<std::string> names_in(int dir_fd, const std::string& shown) {
  // Opened again, because duplicates of a descriptor share the position in the directory.
  Fd own = open_at(dir_fd, ".", kDirFlags, 0, shown);
  const DirectoryStream stream(::fdopendir(own.get()));
  if (!stream) throw_errno("list " + shown);
  own.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) throw_errno("list " + shown);
  std::sort(names.begin(), names.end());
  return names;
}

bool make_dir(int dir_fd, const std::string& name, const std::string& shown) {
  if (retry_eintr([&] { return ::mkdirat(dir_fd, name.c_str(), kDirMode); }) == 0) return true;
  if (errno != EEXIST) throw_errno("make the directory " + shown);
  return false;
}

void sync_dir(const std::string& path) {
  fsync_fd(open_path(path, O_RDONLY | O_DIRECTORY).get(), path);
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void make_dirs(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0 || path == ".") return;
  const std::string parent = parent_of(path);
  if (parent != path) make_dirs(parent);
  if (make_dir(AT_FDCWD, path, path)) sync_dir(parent);
}

void sync_tree(int dir_fd, const std::string& shown) {
  for (const std::string& name : names_in(dir_fd, shown)) {
    const std::string path = shown + "/" + name;
    const auto info = look_at_entry(dir_fd, name, path);
    if (info && is_file_type(*info, S_IFDIR))
      sync_tree(open_at(dir_fd, name, kDirFlags, 0, path).get(), path);
  }
  fsync_fd(dir_fd, shown);
}

void unlink_entry(int dir_fd, const std::string& name, int flags, const std::string& shown) {
  if (retry_eintr([&] { return ::unlinkat(dir_fd, name.c_str(), flags); }) != 0 && errno != ENOENT)
    throw_errno("remove " + shown);
}

void remove_below(int dir_fd, const std::string& name, dev_t device, const std::string& shown) {
  const auto info = look_at_entry(dir_fd, name, shown);
  if (!info) return;
  const bool is_dir = is_file_type(*info, S_IFDIR);
  if (is_dir) empty_dir(open_at(dir_fd, name, kDirFlags, 0, shown).get(), device, shown);
  unlink_entry(dir_fd, name, is_dir ? AT_REMOVEDIR : 0, shown);
}

Place find_place(int top_fd, const std::string& name, bool make, const std::string& shown) {
  Fd dir = open_at(top_fd, ".", kDirFlags, 0, shown);
  std::size_t from = 0;
  for (std::size_t slash; (slash = name.find('/', from)) != std::string::npos; from = slash + 1) {
    const std::string part = name.substr(from, slash - from), path = shown + "/" + name.substr(0, slash);
    if (make) make_dir(dir.get(), part, path);
    dir = open_at(dir.get(), part, kDirFlags, 0, path);
  }
  return {std::move(dir), name.substr(from)};
}

void rename_new(int from_fd, const std::string& from, int to_fd, const std::string& to,
                const std::string& action) {
  if (retry_eintr([&] { return rename_exclusive(from_fd, from.c_str(), to_fd, to.c_str()); }) == 0) return;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) throw_errno(action);
  if (look_at_entry(to_fd, to, to)) throw Error(ErrorKind::kFailed, "cannot " + action + ": it exists");
  rename_over(from_fd, from, to_fd, to, action);
}

void rename_over(int from_fd, const std::string& from, int to_fd, const std::string& to,
                 const std::string& action) {
  if (retry_eintr([&] { return ::renameat(from_fd, from.c_str(), to_fd, to.c_str()); }) != 0)
    throw_errno(action);
}

}  // namespace litepull
