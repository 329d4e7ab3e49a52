// System calls with EINTR retried, short writes finished, and the path named in every error.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace litepull {

// Of a long file, read at once: whoever looks at it next finds it in the processor's second-level cache. A
// multiple of every page size.
inline constexpr std::uint32_t kFileReadBytes = 128 * 1024;

// Owns a file descriptor. Closing errors are dropped: after a write call fsync_fd or close_written.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// EMFILE and ENFILE, and what helps: too many files are open in this process, or in the whole system.
bool is_out_of_descriptors(int code);
inline constexpr const char* kRaiseOpenFiles =
    "raise the limit of open files there (ulimit -n shows a process's, sysctl fs.file-max the system's), or "
    "end what keeps so many open";

// Throws Error{kFailed}: "cannot <action>: <strerror>" for errno as it is now, with a hint where the
// cause has a common remedy (disk full, no permission).
[[noreturn]] void throw_errno(const std::string& action);

// Repeats `call` while it fails with EINTR.
template <typename Call>
auto retry_eintr(Call call) {
  decltype(call()) result;
  do result = call();
  while (result == -1 && errno == EINTR);
  return result;
}

// openat with O_CLOEXEC. `shown` is the path for messages.
Fd open_at(int dir_fd, const std::string& name, int flags, mode_t mode, const std::string& shown);
Fd open_path(const std::string& path, int flags, mode_t mode = 0);

// Up to `size` bytes; 0 at the end of the file.
std::size_t read_some(int fd, void* buffer, std::size_t size, const std::string& shown);
void write_all(int fd, const void* data, std::size_t size, const std::string& shown);
void pwrite_all(int fd, const void* data, std::size_t size, std::uint64_t offset, const std::string& shown);
void pread_all(int fd, void* buffer, std::size_t size, std::uint64_t offset, const std::string& shown);
void writev_all(int fd, std::vector<iovec> parts, const std::string& shown);

// Flushes to the disk itself; on macOS with F_FULLFSYNC, since fsync(2) there stops at the drive's cache.
void fsync_fd(int fd, const std::string& shown);
void close_written(Fd fd, const std::string& shown);

struct Pipe {
  Fd read, write;
};
Pipe make_pipe();  // both ends O_CLOEXEC

// At most 256 bytes that nobody can guess, of the system's own generator.
void fill_random(void* bytes, std::size_t size);
// 16 hexadecimal digits of it.
std::string random_hex();

// Microseconds on a clock that never jumps. Only differences mean anything.
std::uint64_t monotonic_us();

// The whole file, at most `max_bytes`; throws when it is larger.
std::string read_file(const std::string& path, std::size_t max_bytes);

}  // namespace litepull
