#include "client/hash_file.h"

#include <algorithm>
#include <cstring>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::string_view kMagic = "LPHASHES";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kHeadBytes = 32;
constexpr std::size_t kFlushBytes = 64 * 1024;

}  // namespace

std::optional<HashFile> HashFile::open(Fd fd, const std::string& shown, std::uint64_t bytes) {
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || static_cast<std::size_t>(info.st_size) < kHeadBytes)
    return std::nullopt;
  try {
    Bytes raw(kHeadBytes);
    pread_all(fd.get(), raw.data(), raw.size(), 0, shown);
    if (std::memcmp(raw.data(), kMagic.data(), kMagic.size()) != 0) return std::nullopt;
    ByteReader in(ByteView(raw).subspan(kMagic.size()));
    if (in.u32() != kFormat) return std::nullopt;
    HashFileHead head;
    head.page_size = in.u32();
    head.pages = in.u32();
    if (in.u32() != 0) return std::nullopt;
    head.seed = in.u64();
    const std::uint64_t size = kHeadBytes + sizeof(std::uint32_t) * std::uint64_t{head.pages};
    if (static_cast<std::uint64_t>(info.st_size) != size ||
        head.page_size * std::uint64_t{head.pages} != bytes)
      return std::nullopt;
    return HashFile(std::move(fd), shown, head);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::uint32_t> HashFile::read(std::uint32_t first, std::uint32_t count) const {
  Bytes raw(sizeof(std::uint32_t) * std::size_t{count});
  pread_all(fd_.get(), raw.data(), raw.size(), kHeadBytes + sizeof(std::uint32_t) * std::uint64_t{first - 1},
            shown_);
  ByteReader in(raw);
  std::vector<std::uint32_t> hashes(count);
  for (std::uint32_t& hash : hashes) hash = in.u32();
  return hashes;
}

HashFileWriter::HashFileWriter(Fd fd, std::string shown, const HashFileHead& head)
    : fd_(std::move(fd)), shown_(std::move(shown)) {
  for (const char c : kMagic) buffer_.u8(static_cast<std::uint8_t>(c));
  buffer_.u32(kFormat);
  buffer_.u32(head.page_size);
  buffer_.u32(head.pages);
  buffer_.u32(0);
  buffer_.u64(head.seed);
}

void HashFileWriter::add(std::uint32_t hash) {
  buffer_.u32(hash);
  if (buffer_.bytes().size() >= kFlushBytes) flush();
}

void HashFileWriter::flush() {
  write_all(fd_.get(), buffer_.bytes().data(), buffer_.bytes().size(), shown_);
  buffer_ = {};
}

void HashFileWriter::finish() {
  flush();
  close_written(std::move(fd_), shown_);
}

}  // namespace litepull
