#include "agent/spool.h"

#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/disk.h"

namespace litepull {
namespace {

constexpr const char* kShownSpool = "the spool file";

std::uint64_t usable_bytes(const DiskSpace& disk) {
  const std::uint64_t reserve = std::max(Spool::kReserveBytes, disk.total_bytes / 20);
  return disk.free_bytes > reserve ? disk.free_bytes - reserve : 0;
}

bool in_memory(const char* directory) {
  constexpr unsigned long kTmpfs = 0x01021994, kRamfs = 0x858458F6;  // statfs(2)
  struct statfs status {};
  if (statfs(directory, &status) != 0) return true;
  const auto type = static_cast<unsigned long>(status.f_type) & 0xFFFFFFFFUL;
  return type == kTmpfs || type == kRamfs;
}

Fd open_unlinked(const std::string& directory) {
#ifdef O_TMPFILE
  const int unnamed = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
  if (unnamed >= 0) return Fd(unnamed);
#endif
  std::string path = directory + "/litepull-XXXXXX";
  Fd file(mkostemp(path.data(), O_CLOEXEC));
  if (file) unlink(path.c_str());
  return file;
}

}  // namespace

// A file system in memory does not count, because the agent must not fill the memory.
Fd open_unlinked_with_room(std::uint64_t bytes) {
  const char* chosen = std::getenv("TMPDIR");
  std::string best;
  std::uint64_t most = bytes;
  for (const char* directory : {chosen, "/var/tmp", "/tmp"}) {
    if (directory == nullptr || in_memory(directory)) continue;
    const std::optional<DiskSpace> disk = disk_space(directory);
    if (!disk || usable_bytes(*disk) < most || access(directory, W_OK | X_OK) != 0) continue;
    most = usable_bytes(*disk) + 1;
    best = directory;
  }
  return best.empty() ? Fd() : open_unlinked(best);
}

std::uint64_t bytes_free_to_use(int fd) {
  const std::optional<DiskSpace> disk = disk_space(fd);
  if (!disk) throw_errno("look at the disk of the storage directory");
  const std::uint64_t kept = std::min(Spool::kReserveBytes, disk->total_bytes / 20);
  return disk->free_bytes > kept ? disk->free_bytes - kept : 0;
}

bool Spool::reserve(std::uint64_t bytes) {
  if (!file_) {
    file_ = open_unlinked_with_room(bytes);
    return static_cast<bool>(file_);
  }
  const std::optional<DiskSpace> disk = disk_space(file_.get());
  return disk && usable_bytes(*disk) >= bytes;
}

std::uint64_t Spool::append(ByteView data) {
  const std::uint64_t offset = end_;
  pwrite_all(file_.get(), data.data(), data.size(), offset, kShownSpool);
  end_ += data.size();
  return offset;
}

void Spool::read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const {
  pread_all(file_.get(), out, size, offset, kShownSpool);
}

}  // namespace litepull
