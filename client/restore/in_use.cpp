#include "client/restore/in_use.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

#include "client/base/directory.h"
#include "common/disk.h"

namespace litepull {
namespace {

// https://sqlite.org/src/file/src/os_unix.c: PENDING_BYTE, RESERVED_BYTE and the 510 bytes from SHARED_FIRST
// lie together; so do, in the -shm, the eight locks from UNIX_SHM_BASE and the dead man's switch.
constexpr off_t kFileLocks = 0x40000000, kFileLocksBytes = 512;
constexpr off_t kShmLocks = 120, kShmLocksBytes = 9;

std::string first_line_of(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[64] = {};
  const ssize_t got = fd ? ::read(fd.get(), text, sizeof text - 1) : 0;
  const std::string line(text, got > 0 ? static_cast<std::size_t>(got) : 0);
  return line.substr(0, line.find('\n'));
}

std::string describe_process(const std::string& pid) {
  const std::string name = first_line_of("/proc/" + pid + "/comm");
  return "process " + pid + (name.empty() ? "" : " (" + name + ")");
}

// Asks about a write lock without taking it. Any lock of another process would conflict with it.
std::string lock_holder(int fd, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  if (::fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return "";
  return lock.l_pid > 0 ? describe_process(std::to_string(lock.l_pid)) : "a process";  // elsewhere
}

// Empty unless it is a regular file. Other files cannot have locks of SQLite, and opening them may have side
// effects.
Fd open_to_ask(int dir_fd, const std::string& name, const std::string& shown) {
  const auto info = look_at_entry(dir_fd, name, shown);
  if (!info || !is_file_type(*info, S_IFREG)) return {};
  return open_at(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, shown);
}

DirectoryStream open_listing(const std::string& path) {
  return DirectoryStream(::opendir(path.c_str()));
}

bool has_open(const std::string& pid, const struct stat& file) {
  const std::string directory = "/proc/" + pid + "/fd";
  const auto descriptors = open_listing(directory);
  if (!descriptors) return false;
  while (const dirent* entry = ::readdir(descriptors.get())) {
    struct stat info {};
    if (entry->d_name[0] == '.' || ::stat((directory + "/" + entry->d_name).c_str(), &info) != 0) continue;
    if (info.st_dev == file.st_dev && info.st_ino == file.st_ino) return true;
  }
  return false;
}

std::string who_has_open(const struct stat& file) {
  const auto processes = open_listing("/proc");
  if (!processes) return "";
  while (const dirent* entry = ::readdir(processes.get())) {
    const std::string pid = entry->d_name;
    if (!std::all_of(pid.begin(), pid.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    if (pid != std::to_string(::getpid()) && has_open(pid, file)) return describe_process(pid);
  }
  return "";
}

}  // namespace

std::string who_uses(int dir_fd, const std::string& name, const std::string& shown) {
  const Fd file = open_to_ask(dir_fd, name, shown);
  const Fd shm = open_to_ask(dir_fd, name + "-shm", shown + "-shm");
  std::string who = file ? lock_holder(file.get(), kFileLocks, kFileLocksBytes) : "";
  if (who.empty() && shm) who = lock_holder(shm.get(), kShmLocks, kShmLocksBytes);
  if (who.empty() && file) who = who_has_open(look_at(file.get(), shown));
  return who;
}

}  // namespace litepull
