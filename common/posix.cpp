#include "common/posix.h"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "common/error.h"

namespace litepull {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool is_out_of_descriptors(int code) {
  return code == EMFILE || code == ENFILE;
}

void throw_errno(const std::string& action) {
  const int code = errno;
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) hint = "free some space on that disk, then run this again";
  if (code == EACCES || code == EPERM) hint = "check the owner and mode of that path";
  if (is_out_of_descriptors(code)) hint = kRaiseOpenFiles;
  throw Error(ErrorKind::kFailed, "cannot " + action + ": " + std::strerror(code), hint);
}

Fd open_at(int dir_fd, const std::string& name, int flags, mode_t mode, const std::string& shown) {
  const int fd = retry_eintr([&] { return ::openat(dir_fd, name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) throw_errno("open " + shown);
  return Fd(fd);
}

Fd open_path(const std::string& path, int flags, mode_t mode) {
  return open_at(AT_FDCWD, path, flags, mode, path);
}

std::size_t read_some(int fd, void* buffer, std::size_t size, const std::string& shown) {
  const ssize_t got = retry_eintr([&] { return ::read(fd, buffer, size); });
  if (got < 0) throw_errno("read " + shown);
  return static_cast<std::size_t>(got);
}

void write_all(int fd, const void* data, std::size_t size, const std::string& shown) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = retry_eintr([&] { return ::write(fd, at, size); });
    if (done < 0) throw_errno("write " + shown);
    at += done;
    size -= static_cast<std::size_t>(done);
  }
}

void pwrite_all(int fd, const void* data, std::size_t size, std::uint64_t offset, const std::string& shown) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t done = retry_eintr([&] { return ::pwrite(fd, at, size, static_cast<off_t>(offset)); });
    if (done < 0) throw_errno("write " + shown);
    at += done;
    offset += static_cast<std::uint64_t>(done);
    size -= static_cast<std::size_t>(done);
  }
}

void pread_all(int fd, void* buffer, std::size_t size, std::uint64_t offset, const std::string& shown) {
  char* at = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = retry_eintr([&] { return ::pread(fd, at, size, static_cast<off_t>(offset)); });
    if (got < 0) throw_errno("read " + shown);
    if (got == 0) throw Error(ErrorKind::kFailed, "cannot read " + shown + ": it ends early");
    at += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
}

void writev_all(int fd, std::vector<iovec> parts, const std::string& shown) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const int count = static_cast<int>(parts.size() - first);
    const ssize_t done = retry_eintr([&] { return ::writev(fd, &parts[first], count); });
    if (done < 0) throw_errno("write " + shown);
    std::size_t left = static_cast<std::size_t>(done);
    while (first < parts.size() && left >= parts[first].iov_len) left -= parts[first++].iov_len;
    if (left > 0) {
      parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + left;
      parts[first].iov_len -= left;
    }
  }
}

void fsync_fd(int fd, const std::string& shown) {
#ifdef F_FULLFSYNC
  if (retry_eintr([&] { return ::fcntl(fd, F_FULLFSYNC); }) == 0) return;
#endif
  if (retry_eintr([&] { return ::fsync(fd); }) != 0) throw_errno("flush " + shown + " to disk");
}

void close_written(Fd fd, const std::string& shown) {
  // Linux releases the descriptor even when close fails with EINTR: it is not to be closed again.
  if (::close(fd.release()) != 0 && errno != EINTR) throw_errno("close " + shown);
}

Pipe make_pipe() {
  int ends[2];
#ifdef __linux__
  // In one step: another thread may be starting a child right now.
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
#else
  if (::pipe(ends) != 0) throw_errno("make a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  for (const int end : ends)
    if (::fcntl(end, F_SETFD, FD_CLOEXEC) != 0) throw_errno("set a pipe close-on-exec");
  return pipe;
#endif
}

void fill_random(void* bytes, std::size_t size) {
  if (::getentropy(bytes, size) != 0) throw_errno("get random bytes");
}

std::string random_hex() {
  std::uint64_t random = 0;
  fill_random(&random, sizeof random);
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(random));
  return digits;
}

std::uint64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
  const Fd fd = open_path(path, O_RDONLY);
  std::string content;
  char buffer[65536];
  while (const std::size_t got = read_some(fd.get(), buffer, sizeof buffer, path)) {
    content.append(buffer, got);
    if (content.size() > max_bytes)
      throw Error(ErrorKind::kFailed,
                  path + " is larger than the " + std::to_string(max_bytes) + " bytes it may have");
  }
  return content;
}

}  // namespace litepull
