// The lock of an app, so that only one run at a time changes its directory. It is flock(2) on the file
// `.lock` in that directory.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "common/posix.h"

namespace litepull {

inline constexpr const char* kLockName = ".lock";

// Held until it dies. The kernel releases it when the process dies, so no lock is ever stale; the file stays.
// A forked child shares it: it must exec or _exit, and never unwind past this object.
class AppLock {
 public:
  // Takes the lock of the app in that directory. `shown` is the lock file's path. Throws Error{kBusy} when
  // another run holds it, and kRefused when `.lock` is not a regular file.
  static AppLock take(int app_dir_fd, const std::string& app, const std::string& shown);
  AppLock(AppLock&&) noexcept = default;
  AppLock& operator=(AppLock&&) = delete;
  ~AppLock();

 private:
  explicit AppLock(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

// The process id in the lock's file, or "" when there is none; nullopt when nobody holds the lock.
// Precondition: the file exists.
std::optional<std::string> lock_holder_in(int app_dir_fd, const std::string& shown);

}  // namespace litepull
