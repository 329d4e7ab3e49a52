// A shared library that is loaded into litepull (LD_PRELOAD) and stands between it and the C library's file
// system calls. It keeps a log of what they did below one directory and lets one of them go wrong. What they
// are told and what comes back is in fault_run.h.
//
// It serves the one process it was started with: it takes itself out of the environment at once, and what a
// child does between fork and exec is passed on unseen. One call at a time, so that the log has the order in
// which things happened.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>

namespace {

enum class Strike { kNone, kKill, kFail, kShort };

struct Call {
  std::string kind;
  std::string path;
  std::string other_path = "";  // of a rename or a link
  bool changes = true;          // what is on the disk, or whether it stays there
};

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class Interposer {
 public:
  Interposer() : directory_(variable("FAULT_FS_DIR")), with_data_(*variable("FAULT_FS_DATA") != '\0') {
    // "KIND NUMBER ACTION [ERRNO]"
    std::istringstream(variable("FAULT_FS_PLAN")) >> kind_ >> number_ >> action_ >> errno_;
    const std::string log = variable("FAULT_FS_LOG");
    if (!log.empty())
      log_ = next<int(const char*, int, ...)>("open")(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                                                      0600);
    for (const char* name : {"LD_PRELOAD", "FAULT_FS_DIR", "FAULT_FS_DATA", "FAULT_FS_PLAN", "FAULT_FS_LOG"})
      ::unsetenv(name);
  }

  bool concerns(const std::string& path) const {
    return !directory_.empty() && ::getpid() == pid_ &&
           (path == directory_ || path.starts_with(directory_ + "/"));
  }

  std::mutex& mutex() { return mutex_; }

  // What is to become of the call that comes next, and of how many of its bytes.
  Strike strike(const Call& call, std::size_t& size) {
    if (action_ == "full") return call.kind == "write" ? strike_full(size) : Strike::kNone;
    if (call.kind != kind_ && !(kind_ == "change" && call.changes)) return Strike::kNone;
    const int number = ++count_;
    if (number < number_ || (number > number_ && action_ != "failing")) return Strike::kNone;
    if (action_ == "kill") return Strike::kKill;
    if (action_ != "short") return Strike::kFail;
    size = std::max<std::size_t>(size / 2, 1);
    return Strike::kShort;
  }

  int error() const { return errno_; }

  void log(const Call& call, const std::string& how, long long offset = 0, const std::string& data = "") {
    if (log_ < 0) return;
    const std::string kept = with_data_ ? data : "";
    const std::string record = call.kind + "\t" + how + "\t" + call.path + "\t" + call.other_path + "\t" +
                               std::to_string(offset) + "\t" + std::to_string(data.size()) + "\t" +
                               std::to_string(kept.size()) + "\n" + kept;
    static const auto write = next<ssize_t(int, const void*, size_t)>("write");
    for (std::size_t done = 0; done < record.size();) {
      const ssize_t wrote = write(log_, record.data() + done, record.size() - done);
      if (wrote <= 0) std::abort();
      done += static_cast<std::size_t>(wrote);
    }
  }

 private:
  // The number is that of the bytes for which there is room.
  Strike strike_full(std::size_t& size) {
    const auto room = static_cast<std::size_t>(number_);
    if (size > room && room == 0) return Strike::kFail;
    const bool fits = size <= room;
    size = std::min(size, room);
    number_ -= static_cast<int>(size);
    return fits ? Strike::kNone : Strike::kShort;
  }

  const pid_t pid_ = ::getpid();
  const std::string directory_;
  const bool with_data_;
  std::string kind_, action_;
  int number_ = 0, errno_ = 0;
  int log_ = -1;
  int count_ = 0;
  std::mutex mutex_;
};

// Never destroyed: other libraries close files after main has returned.
Interposer& interposer() {
  static Interposer& one = *new Interposer;
  return one;
}

[[gnu::constructor]] void begin() {
  interposer();
}

std::string path_of(int fd) {
  const int errno_before = errno;
  char path[PATH_MAX];
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  errno = errno_before;
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "";
}

std::string path_of(int dir_fd, const char* name) {
  if (name == nullptr) return "";
  if (*name == '/') return name;
  if (dir_fd != AT_FDCWD) return path_of(dir_fd) + "/" + name;
  char here[PATH_MAX];
  return (::getcwd(here, sizeof here) != nullptr ? std::string(here) : "") + "/" + name;
}

// Makes the call for so many bytes, or has it go wrong. `told` logs what one that succeeded has done.
template <typename Real, typename Told>
auto pass(const Call& call, std::size_t size, Real real, Told told) -> decltype(real(size)) {
  Interposer& all = interposer();
  if (!all.concerns(call.path)) return real(size);
  const std::lock_guard lock(all.mutex());
  const Strike strike = all.strike(call, size);
  if (strike != Strike::kNone) all.log(call, "struck");
  if (strike == Strike::kKill) ::kill(::getpid(), SIGKILL);
  // A descriptor is gone also when close fails (close(2)).
  if (strike == Strike::kFail && call.kind == "close") real(size);
  if (strike == Strike::kFail) {
    errno = all.error();
    return -1;
  }
  const auto result = real(size);
  const int errno_after = errno;
  if (result >= 0) told(all, result);
  errno = errno_after;
  return result;
}

template <typename Real>
auto pass(const Call& call, Real real) -> decltype(real()) {
  return pass(
      call, 0, [&](std::size_t) { return real(); }, [&](Interposer& all, auto) { all.log(call, "done"); });
}

// An offset of -1 is the file's own position.
template <typename Real>
ssize_t pass_write(int fd, long long offset, const void* data, std::size_t size, Real real) {
  const Call call{"write", path_of(fd)};
  return pass(call, size, real, [&](Interposer& all, ssize_t wrote) {
    if (offset < 0) offset = ::lseek(fd, 0, SEEK_CUR) - wrote;
    all.log(call, "done", offset, {static_cast<const char*>(data), static_cast<std::size_t>(wrote)});
  });
}

template <typename Real>
int pass_open(const std::string& path, int flags, Real real) {
  const bool creates = (flags & O_CREAT) != 0 && ::access(path.c_str(), F_OK) != 0;
  const Call call{creates ? "create" : "open", path, "", creates};
  return pass(
      call, 0, [&](std::size_t) { return real(); },
      [&](Interposer& all, int) {
        all.log(call, "done");
        if ((flags & O_TRUNC) != 0) all.log({"truncate", path}, "done");
      });
}

mode_t mode_of(int flags, va_list& more) {
  return (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
}

}  // namespace

extern "C" {

#define OPEN(name)                                                                             \
  int name(const char* path, int flags, ...) {                                                 \
    va_list more;                                                                              \
    va_start(more, flags);                                                                     \
    const mode_t mode = mode_of(flags, more);                                                  \
    va_end(more);                                                                              \
    static const auto real = next<int(const char*, int, ...)>(#name);                          \
    return pass_open(path_of(AT_FDCWD, path), flags, [&] { return real(path, flags, mode); }); \
  }
OPEN(open)
OPEN(open64)
#undef OPEN

#define OPENAT(name)                                                                                 \
  int name(int dir_fd, const char* path, int flags, ...) {                                           \
    va_list more;                                                                                    \
    va_start(more, flags);                                                                           \
    const mode_t mode = mode_of(flags, more);                                                        \
    va_end(more);                                                                                    \
    static const auto real = next<int(int, const char*, int, ...)>(#name);                           \
    return pass_open(path_of(dir_fd, path), flags, [&] { return real(dir_fd, path, flags, mode); }); \
  }
OPENAT(openat)
OPENAT(openat64)
#undef OPENAT

int close(int fd) {
  static const auto real = next<int(int)>("close");
  return pass({"close", path_of(fd), "", false}, [&] { return real(fd); });
}

ssize_t read(int fd, void* buffer, size_t size) {
  static const auto real = next<ssize_t(int, void*, size_t)>("read");
  return pass({"read", path_of(fd), "", false}, [&] { return real(fd, buffer, size); });
}

ssize_t pread(int fd, void* buffer, size_t size, off_t offset) {
  static const auto real = next<ssize_t(int, void*, size_t, off_t)>("pread");
  return pass({"read", path_of(fd), "", false}, [&] { return real(fd, buffer, size, offset); });
}

ssize_t pread64(int fd, void* buffer, size_t size, off64_t offset) {
  return pread(fd, buffer, size, offset);
}

ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return pass_write(fd, -1, data, size, [&](size_t part) { return real(fd, data, part); });
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto real = next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return pass_write(fd, offset, data, size, [&](size_t part) { return real(fd, data, part, offset); });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return pwrite(fd, data, size, offset);
}

// As one write of all its parts.
ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = next<ssize_t(int, const iovec*, int)>("writev");
  if (!interposer().concerns(path_of(fd))) return real(fd, parts, count);
  std::string all;
  for (int i = 0; i < count; ++i) all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return write(fd, all.data(), all.size());
}

int fsync(int fd) {
  static const auto real = next<int(int)>("fsync");
  return pass({"sync", path_of(fd)}, [&] { return real(fd); });
}

int fdatasync(int fd) {
  static const auto real = next<int(int)>("fdatasync");
  return pass({"sync", path_of(fd)}, [&] { return real(fd); });
}

// Promises nothing about the disk: no sync.
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  static const auto real = next<int(int, off64_t, off64_t, unsigned)>("sync_file_range");
  return pass({"hint", path_of(fd)}, [&] { return real(fd, offset, size, flags); });
}

int rename(const char* from, const char* to) {
  static const auto real = next<int(const char*, const char*)>("rename");
  return pass({"rename", path_of(AT_FDCWD, from), path_of(AT_FDCWD, to)}, [&] { return real(from, to); });
}

int renameat(int from_fd, const char* from, int to_fd, const char* to) {
  static const auto real = next<int(int, const char*, int, const char*)>("renameat");
  return pass({"rename", path_of(from_fd, from), path_of(to_fd, to)},
              [&] { return real(from_fd, from, to_fd, to); });
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  static const auto real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return pass({"rename", path_of(from_fd, from), path_of(to_fd, to)},
              [&] { return real(from_fd, from, to_fd, to, flags); });
}

// Through which litepull calls renameat2, for older C libraries.
long syscall(long number, ...) {
  va_list more;
  va_start(more, number);
  long a[6];
  for (long& argument : a) argument = va_arg(more, long);
  va_end(more);
  if (number == SYS_renameat2)
    return renameat2(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]), static_cast<int>(a[2]),
                     reinterpret_cast<const char*>(a[3]), static_cast<unsigned>(a[4]));
  static const auto real = next<long(long, ...)>("syscall");
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
  static const auto real = next<int(int, const char*, int, const char*, int)>("linkat");
  return pass({"link", path_of(from_fd, from), path_of(to_fd, to)},
              [&] { return real(from_fd, from, to_fd, to, flags); });
}

int mkdir(const char* path, mode_t mode) {
  static const auto real = next<int(const char*, mode_t)>("mkdir");
  return pass({"mkdir", path_of(AT_FDCWD, path)}, [&] { return real(path, mode); });
}

int mkdirat(int dir_fd, const char* path, mode_t mode) {
  static const auto real = next<int(int, const char*, mode_t)>("mkdirat");
  return pass({"mkdir", path_of(dir_fd, path)}, [&] { return real(dir_fd, path, mode); });
}

int unlink(const char* path) {
  static const auto real = next<int(const char*)>("unlink");
  return pass({"unlink", path_of(AT_FDCWD, path)}, [&] { return real(path); });
}

int rmdir(const char* path) {
  static const auto real = next<int(const char*)>("rmdir");
  return pass({"unlink", path_of(AT_FDCWD, path)}, [&] { return real(path); });
}

int unlinkat(int dir_fd, const char* path, int flags) {
  static const auto real = next<int(int, const char*, int)>("unlinkat");
  return pass({"unlink", path_of(dir_fd, path)}, [&] { return real(dir_fd, path, flags); });
}

int ftruncate(int fd, off_t size) {
  static const auto real = next<int(int, off_t)>("ftruncate");
  const Call call{"truncate", path_of(fd)};
  return pass(
      call, 0, [&](std::size_t) { return real(fd, size); },
      [&](Interposer& all, int) { all.log(call, "done", size); });
}

int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

int fchmod(int fd, mode_t mode) {
  static const auto real = next<int(int, mode_t)>("fchmod");
  return pass({"mode", path_of(fd)}, [&] { return real(fd, mode); });
}

int fchown(int fd, uid_t user, gid_t group) {
  static const auto real = next<int(int, uid_t, gid_t)>("fchown");
  return pass({"mode", path_of(fd)}, [&] { return real(fd, user, group); });
}

int fchownat(int dir_fd, const char* path, uid_t user, gid_t group, int flags) {
  static const auto real = next<int(int, const char*, uid_t, gid_t, int)>("fchownat");
  return pass({"mode", path_of(dir_fd, path)}, [&] { return real(dir_fd, path, user, group, flags); });
}

// A clone would change a file without a write that the log can show: it is refused, as most disks do.
int ioctl(int fd, unsigned long request, ...) {
  va_list more;
  va_start(more, request);
  void* argument = va_arg(more, void*);
  va_end(more);
  static const auto real = next<int(int, unsigned long, ...)>("ioctl");
  if (request != FICLONE) return real(fd, request, argument);
  return pass({"clone", path_of(fd)}, [] {
    errno = EOPNOTSUPP;
    return -1;
  });
}

}  // extern "C"
