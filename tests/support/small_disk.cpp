#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/posix.h"

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

}  // namespace litepull::test
