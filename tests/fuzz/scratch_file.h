// A file in memory, for code that reads or writes a file.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull::fuzz {

class ScratchFile {
 public:
  ScratchFile() : fd_(::memfd_create("litepull-fuzz", MFD_CLOEXEC)) {
    invariant(bool{fd_}, "no file in memory");
  }

  int get() const { return fd_.get(); }
  // Opens another descriptor of it, at its beginning.
  Fd open() const {
    invariant(::lseek(fd_.get(), 0, SEEK_SET) == 0, "the file in memory cannot be read again");
    return Fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  }
  void set(ByteView content) const {
    invariant(::ftruncate(fd_.get(), 0) == 0, "the file in memory cannot be emptied");
    pwrite_all(fd_.get(), content.data(), content.size(), 0, "the file in memory");
  }
  Bytes content() const {
    struct stat info {};
    invariant(::fstat(fd_.get(), &info) == 0, "the file in memory cannot be looked at");
    Bytes all(static_cast<std::size_t>(info.st_size));
    pread_all(fd_.get(), all.data(), all.size(), 0, "the file in memory");
    return all;
  }

 private:
  Fd fd_;
};

}  // namespace litepull::fuzz
