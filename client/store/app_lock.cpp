#include "client/store/app_lock.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "client/base/directory.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr int kLockTries = 6;
constexpr int kLockWaitMs = 15;

// Only digits are taken, because others may write anything into the file.
std::string pid_in(int lock_fd) {
  char text[16] = {};
  const ssize_t got = ::pread(lock_fd, text, sizeof text - 1, 0);
  const std::string pid(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  return pid.substr(0, pid.find_first_not_of("0123456789"));
}

// False when another run holds it. A process that only looks (lock_holder) holds it for a moment, so one
// failure is no proof of another run.
bool take_lock(int fd, const std::string& shown) {
  for (int tries = kLockTries;;) {
    if (retry_eintr([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) return true;
    if (errno != EWOULDBLOCK) throw_errno("lock " + shown);
    if (--tries == 0) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(kLockWaitMs));
  }
}

void write_pid(int lock_fd, const std::string& shown) {
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (retry_eintr([&] { return ::ftruncate(lock_fd, 0); }) != 0) throw_errno("write " + shown);
  pwrite_all(lock_fd, pid.data(), pid.size(), 0, shown);
}

[[noreturn]] void throw_held(const std::string& app, const std::string& pid) {
  throw Error(ErrorKind::kBusy,
              "another run holds the lock of " + app + (pid.empty() ? "" : " (process " + pid + ")"),
              "wait until it has ended, then run this again");
}

}  // namespace

AppLock AppLock::take(int app_dir_fd, const std::string& app, const std::string& shown) {
  // O_NONBLOCK: a FIFO of that name must not hang the run.
  Fd fd = open_at(app_dir_fd, kLockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, kFileMode, shown);
  if (!S_ISREG(look_at(fd.get(), shown).st_mode))
    throw Error(ErrorKind::kRefused, shown + " is not a regular file", "move it away");
  if (!take_lock(fd.get(), shown)) throw_held(app, pid_in(fd.get()));
  write_pid(fd.get(), shown);
  return AppLock(std::move(fd));
}

AppLock::~AppLock() {
  if (fd_) ::flock(fd_.get(), LOCK_UN);  // at once, also while a child between fork and exec shares it
}

std::optional<std::string> lock_holder_in(int app_dir_fd, const std::string& shown) {
  const Fd fd = open_at(app_dir_fd, kLockName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, shown);
  if (retry_eintr([&] { return ::flock(fd.get(), LOCK_SH | LOCK_NB); }) == 0) return std::nullopt;
  if (errno != EWOULDBLOCK) throw_errno("look at the lock " + shown);
  return pid_in(fd.get());
}

}  // namespace litepull
