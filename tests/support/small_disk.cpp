#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/process.h"

namespace litepull::test {

SmallDisk::SmallDisk(const std::string& path, const std::string& options, Programs programs) : path_(path) {
  std::filesystem::create_directory(path);
  const unsigned long flags = programs == kNoExec ? MS_NOEXEC : 0;
  mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", flags, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
}

void SmallDisk::resize(const std::string& options) const {
  if (::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT, options.c_str()) != 0)
    throw_errno("resize " + path_);
}

void SmallDisk::fill() const {
  const std::string ballast = path_ + "/ballast";
  const Fd fd = open_path(ballast, O_WRONLY | O_CREAT, 0600);
  const std::string block(4096, 'x');
  while (::write(fd.get(), block.data(), block.size()) > 0) {
  }
  if (errno != ENOSPC) throw_errno("fill " + ballast);
}

SharingDisk::SharingDisk(const std::string& image, const std::string& path) : path_(path) {
  constexpr std::uintmax_t kBytes = 400 << 20;  // mkfs.xfs makes none below 300 MB
  // Else XFS sets 128 KiB aside for every block that is written to, for some minutes.
  std::filesystem::create_directory(path);
  const Fd file = open_path(image, O_WRONLY | O_CREAT, 0600);
  std::filesystem::resize_file(image, kBytes);
  try {
    mounted_ = run({"mkfs.xfs", "-q", "-m", "reflink=1", "-d", "cowextsize=1", image}).ok() &&
               run({"mount", "-o", "loop", image, path}).ok();
  } catch (const Error&) {
    // There is no such program.
  }
}

SharingDisk::~SharingDisk() {
  if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
}

}  // namespace litepull::test
