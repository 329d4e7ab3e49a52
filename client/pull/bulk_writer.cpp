#include "client/pull/bulk_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kAlign = 4096;  // no common disk has larger blocks

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

BulkWriter::BulkWriter(int fd, Fd direct, std::string shown)
    : fd_(fd),
      direct_(std::move(direct)),
      shown_(std::move(shown)),
      buffer_(static_cast<std::uint8_t*>(std::aligned_alloc(kAlign, kBufferBytes))) {
  invariant(buffer_ != nullptr, "no memory to write a file");
}

void BulkWriter::add(std::uint64_t offset, ByteView bytes) {
  if (offset != start_ + size_) flush();
  if (size_ == 0) start_ = offset;
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kBufferBytes - size_);
    std::memcpy(buffer_.get() + size_, bytes.data(), part);
    size_ += part;
    bytes = bytes.subspan(part);
    if (size_ == kBufferBytes) write_buffer();
  }
}

void BulkWriter::flush() {
  if (size_ > 0) write_buffer();
}

// Leaves a hole for a buffer of zeros.
void BulkWriter::write_buffer() {
  const ByteView all(buffer_.get(), size_);
  if (!all_zero(all)) {
    const std::size_t direct = start_ % kAlign == 0 ? size_ / kAlign * kAlign : 0;
    const std::size_t done = direct > 0 && write_direct(direct) ? direct : 0;
    if (done < size_) pwrite_all(fd_, buffer_.get() + done, size_ - done, start_ + done, shown_);
#ifdef __linux__
    // Keeps the disk busy while more arrives, so that little is left for the fsync at the end.
    if (done < size_)
      ::sync_file_range(fd_, static_cast<off_t>(start_ + done), static_cast<off_t>(size_ - done),
                        SYNC_FILE_RANGE_WRITE);
#endif
  }
  start_ += size_;
  size_ = 0;
}

// False when the file system refused it. Some refuse O_DIRECT only at the write.
bool BulkWriter::write_direct(std::size_t size) {
  for (std::size_t done = 0; direct_ && done < size;) {
    const ssize_t wrote = retry_eintr([&] {
      return ::pwrite(direct_.get(), buffer_.get() + done, size - done, static_cast<off_t>(start_ + done));
    });
    if (wrote > 0 && static_cast<std::size_t>(wrote) % kAlign == 0) {
      done += static_cast<std::size_t>(wrote);
    } else {
      direct_.reset();  // the usual write meets a full disk and the like again
    }
  }
  return static_cast<bool>(direct_);
}

Fd open_direct([[maybe_unused]] int dir_fd, [[maybe_unused]] const std::string& name) {
#ifdef O_DIRECT
  return Fd(retry_eintr(
      [&] { return ::openat(dir_fd, name.c_str(), O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC); }));
#else
  return {};
#endif
}

}  // namespace litepull
