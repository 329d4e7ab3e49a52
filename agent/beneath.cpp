#include "agent/beneath.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <optional>
#include <string>

#include "common/posix.h"

namespace litepull {
namespace {

// These are global because the calls that SQLite makes have no room for a pointer of ours.
std::optional<FileId> last_opened;
std::map<FileId, std::uint32_t> kept;

bool is_beneath(const char* path) {
  return path[0] == '.' && path[1] == '/';
}

// The directory that holds the last part of `path`, and where that part begins. The way there is walked part
// by part, because none may be a link.
struct Parent {
  Fd directory;
  const char* base;
  bool found = true;  // false: errno says why

  int fd() const { return directory ? directory.get() : AT_FDCWD; }
};

Parent parent_of(const char* path) {
  Parent parent{{}, path + 2};
  const std::string all = parent.base;
  std::size_t begin = 0;
  for (std::size_t end; (end = all.find('/', begin)) != std::string::npos; begin = end + 1) {
    const std::string part = all.substr(begin, end - begin);
    if (part == "..") errno = EACCES;  // SQLite was given no name with it
    if (part == "..") return {{}, path, false};
    Fd next(openat(parent.fd(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    parent.found = static_cast<bool>(next);
    if (!parent.found) return parent;
    parent.directory = std::move(next);
  }
  parent.base += begin;
  return parent;
}

int open_beneath(const char* path, int flags, int mode) {
  if (!is_beneath(path)) return ::open(path, flags, mode);
  const Parent parent = parent_of(path);
  if (!parent.found) return -1;
  const int fd = openat(parent.fd(), parent.base, flags | O_NOFOLLOW, mode);
  struct stat status {};
  if (fd >= 0 && fstat(fd, &status) == 0) last_opened = id_of(status);
  return fd;
}

int unlink_beneath(const char* path) {
  if (!is_beneath(path)) return ::unlink(path);
  const Parent parent = parent_of(path);
  return parent.found ? unlinkat(parent.fd(), parent.base, 0) : -1;
}

bool is_alive(std::uint32_t pid) {
  return kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

int truncate_unless_kept(int fd, off_t size) {
  struct stat status {};
  const auto found = fstat(fd, &status) == 0 ? kept.find(id_of(status)) : kept.end();
  if (found == kept.end() || !is_alive(found->second)) return ::ftruncate(fd, size);
  errno = EBUSY;
  return -1;
}

}  // namespace

void keep_sqlite_beneath() {
  [[maybe_unused]] static const bool kOnce = [] {
    sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
    const auto replace = [&](const char* name, auto* call) {
      invariant(vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(call)) == SQLITE_OK,
                "SQLite's way to open files could not be replaced");
    };
    replace("open", open_beneath);
    replace("unlink", unlink_beneath);
    replace("ftruncate", truncate_unless_kept);
    return true;
  }();
}

void keep_shared_memory(const std::map<FileId, std::uint32_t>& process_of_file) {
  for (const auto& [file, process] : process_of_file) kept.insert_or_assign(file, process);
}

Connection open_candidate(const Candidate& candidate, int flags, const char* vfs) {
  last_opened.reset();
  Connection connection = open_connection(candidate.path, flags | SQLITE_OPEN_NOFOLLOW, vfs);
  // SQLite opens nothing when it still had a descriptor of the same file.
  if (!last_opened || (last_opened->device == candidate.device && last_opened->inode == candidate.inode))
    return connection;
  throw Error(ErrorKind::kFailed, "it was replaced while it was being opened", "pull again");
}

}  // namespace litepull
