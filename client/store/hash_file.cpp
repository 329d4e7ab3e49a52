#include "client/store/hash_file.h"

#include <algorithm>
#include <cstring>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::string_view kMagic = "LPHASHES";
constexpr std::uint32_t kSeededFormat = 1, kFormat = 2;
constexpr std::size_t kHeadBytes = 32;
constexpr std::size_t kFlushBytes = 64 * 1024;

// The check tells a damaged head from one made with another key.
Bytes head_bytes(const HashFileHead& head, std::uint64_t mark, std::uint32_t check) {
  ByteWriter out;
  for (const char c : kMagic) out.u8(static_cast<std::uint8_t>(c));
  out.u32(kFormat);
  out.u32(head.page_size);
  out.u32(head.pages);
  out.u32(check);
  out.u64(mark);
  return out.bytes();
}

std::uint32_t check_of(const HashFileHead& head, std::uint64_t mark) {
  const Bytes bytes = head_bytes(head, mark, 0);
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

struct Head {
  std::uint32_t format = 0;
  HashFileHead told;
  std::uint64_t mark = 0;
  std::uint64_t file_bytes = 0;
};

// nullopt when the file cannot be read or does not begin as one of ours.
std::optional<Head> read_head(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || static_cast<std::size_t>(info.st_size) < kHeadBytes) return std::nullopt;
  try {
    Bytes raw(kHeadBytes);
    pread_all(fd, raw.data(), raw.size(), 0, shown);
    if (std::memcmp(raw.data(), kMagic.data(), kMagic.size()) != 0) return std::nullopt;
    ByteReader in(ByteView(raw).subspan(kMagic.size()));
    Head head;
    head.file_bytes = static_cast<std::uint64_t>(info.st_size);
    head.format = in.u32();
    head.told.page_size = in.u32();
    head.told.pages = in.u32();
    const std::uint32_t check = in.u32();
    head.mark = in.u64();
    if (check != (head.format == kSeededFormat ? 0 : check_of(head.told, head.mark))) return std::nullopt;
    return head;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::optional<HashFile> HashFile::open(Fd fd, const std::string& shown, std::uint64_t bytes,
                                       const DigestKey& key) {
  if (!fd) return std::nullopt;
  const std::optional<Head> head = read_head(fd.get(), shown);
  if (!head || head->format != kFormat || head->mark != mark_of(key)) return std::nullopt;
  const std::uint64_t size = kHeadBytes + sizeof(std::uint32_t) * std::uint64_t{head->told.pages};
  if (head->file_bytes != size || head->told.page_size * std::uint64_t{head->told.pages} != bytes)
    return std::nullopt;
  return HashFile(std::move(fd), shown, head->told);
}

bool HashFile::is_of_another_key(int fd, const std::string& shown, const DigestKey& key) {
  const std::optional<Head> head = read_head(fd, shown);
  return head && (head->format == kSeededFormat || (head->format == kFormat && head->mark != mark_of(key)));
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

HashFileWriter::HashFileWriter(Fd fd, std::string shown, const HashFileHead& head, const DigestKey& key)
    : fd_(std::move(fd)), shown_(std::move(shown)) {
  const std::uint64_t mark = mark_of(key);
  for (const std::uint8_t byte : head_bytes(head, mark, check_of(head, mark))) buffer_.u8(byte);
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
