#include "agent/lock_holder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <optional>

#include "agent/file_id.h"
#include "agent/processes.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxLocksBytes = 16 << 20;

// The parts of a line of /proc/locks (proc(5)): "7: POSIX ADVISORY WRITE 123 08:01:456 1073741824
// 1073742335". A line of a process that waits for a lock has an arrow before the words.
struct Lock {
  unsigned pid = 0;
  unsigned long long inode = 0;
};

std::optional<Lock> write_lock_of(const std::string& line) {
  Lock lock;
  const bool fits =
      std::sscanf(line.c_str(), "%*u: POSIX %*s WRITE %u %*x:%*x:%llu", &lock.pid, &lock.inode) == 2;
  return fits ? std::optional(lock) : std::nullopt;
}

// The process must have this very file open. An inode number may belong to another file on another disk, and
// some file systems report it with a device of their own.
std::optional<Process> holder_of(const Lock& lock, const FileId& file) {
  if (lock.inode != file.inode || lock.pid == static_cast<unsigned>(getpid())) return std::nullopt;
  return look_at_process(lock.pid, {{file}, {}});
}

std::string locks() {
  const Fd fd(open("/proc/locks", O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[16384];
  for (ssize_t got; fd && text.size() < kMaxLocksBytes &&
                    (got = retry_eintr([&] { return ::read(fd.get(), buffer, sizeof buffer); })) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

}  // namespace

std::string lock_holder_of(const std::string& path) {
  const std::string text = locks();
  for (const char* ending : {"", "-shm"}) {
    const auto file = id_at(path + ending);
    if (!file) continue;
    for (std::size_t from = 0; from < text.size(); from = text.find('\n', from) + 1) {
      const auto lock = write_lock_of(text.substr(from, text.find('\n', from) - from));
      const auto process = lock ? holder_of(*lock, *file) : std::nullopt;
      if (process)
        return "process " + std::to_string(process->pid) + " (" + printable(process->command) + ")";
      if (text.find('\n', from) == std::string::npos) break;
    }
  }
  return "";
}

}  // namespace litepull
