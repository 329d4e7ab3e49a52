#include "common/disk.h"

#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include "common/posix.h"

#ifdef __linux__
#include <linux/fs.h>
#endif

namespace litepull {
namespace {

DiskSpace space_of(const struct statvfs& disk) {
  return {std::uint64_t{disk.f_blocks} * disk.f_frsize, std::uint64_t{disk.f_bavail} * disk.f_frsize};
}

}  // namespace

std::optional<DiskSpace> disk_space(int fd) {
  struct statvfs disk {};
  if (::fstatvfs(fd, &disk) != 0) return std::nullopt;
  return space_of(disk);
}

std::optional<DiskSpace> disk_space(const std::string& path) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) return std::nullopt;
  return space_of(disk);
}

std::uint64_t free_bytes_on(int fd, const std::string& shown) {
  const std::optional<DiskSpace> space = disk_space(fd);
  if (!space) throw_errno("look at the disk of " + shown);
  return space->free_bytes;
}

bool share_blocks(int from, int to) {
#ifdef FICLONE
  return ::ioctl(to, FICLONE, from) == 0;
#else
  (void)from, (void)to;
  return false;
#endif
}

}  // namespace litepull
