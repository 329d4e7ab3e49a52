#include "client/verify/compare_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "client/base/file_digest.h"
#include "client/store/hash_file.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/file_buffer.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

// Compares pages with their kept hashes, in the order of the file.
class PageComparer {
 public:
  PageComparer(HashFile hashes, const DigestKey& key) : hashes_(std::move(hashes)), key_(key) {}

  void add(std::uint64_t offset, ByteView bytes) {
    const std::uint32_t size = hashes_.head().page_size;
    const std::uint64_t first = offset / size;
    if (first >= hashes_.head().pages) return;
    const auto count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(bytes.size() / size, hashes_.head().pages - first));
    const auto kept = hashes_.read(static_cast<std::uint32_t>(first) + 1, count);
    for (std::uint32_t i = 0; i < count; ++i)
      if (page_hash(bytes.subspan(std::size_t{i} * size, size), key_) != kept[i]) differs(first + 1 + i);
  }

  // Counts the pages that the file lacks. It ends after `bytes`.
  void end(std::uint64_t bytes) {
    for (std::uint64_t page = bytes / hashes_.head().page_size + 1; page <= hashes_.head().pages; ++page)
      differs(page);
  }

  std::uint64_t count() const { return count_; }
  bool all_differ() const { return count_ == hashes_.head().pages && count_ > 1; }
  std::vector<std::uint32_t>& pages() { return pages_; }

 private:
  void differs(std::uint64_t page) {
    if (++count_ <= kMaxPagesNamed) pages_.push_back(static_cast<std::uint32_t>(page));
  }

  HashFile hashes_;
  const DigestKey& key_;
  std::uint64_t count_ = 0;
  std::vector<std::uint32_t> pages_;
};

std::uint64_t size_of(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("look at " + shown);
  return static_cast<std::uint64_t>(info.st_size);
}

std::optional<PageComparer> open_hashes(int dir_fd, const std::string& path,
                                        const Manifest::Database& database, const DigestKey* key,
                                        FileComparison& result) {
  const std::string shown = path + "/" + kHashesName + "/" + database.name;
  Fd fd = open_hash_file(dir_fd, database.name, path);
  if (!fd) return std::nullopt;
  result.hashes = FileComparison::Hashes::kOtherKey;
  if (key == nullptr || HashFile::is_of_another_key(fd.get(), shown, *key)) return std::nullopt;
  result.hashes = FileComparison::Hashes::kDamaged;
  auto hashes = HashFile::open(std::move(fd), shown, database.bytes, *key);
  if (!hashes || hashes->head().page_size != database.page_size || hashes->head().pages == 0)
    return std::nullopt;
  result.hashes = FileComparison::Hashes::kUsable;
  return PageComparer(std::move(*hashes), *key);
}

Digest read_through(int fd, const std::string& shown, std::uint64_t bytes,
                    std::optional<PageComparer>& comparer, const Cancel& cancel,
                    const std::function<void(std::uint64_t)>& advance) {
  StreamingDigest digest;
  const FileBuffer buffer(kFileReadBytes);
  for (std::uint64_t offset = 0; offset < bytes; offset += kFileReadBytes) {
    cancel.throw_if_requested();
    const ByteView raw(buffer.data(),
                       static_cast<std::size_t>(std::min<std::uint64_t>(kFileReadBytes, bytes - offset)));
    pread_all(fd, buffer.data(), raw.size(), offset, shown);
    digest.add(raw);
    if (comparer) comparer->add(offset, raw);
    if (advance) advance(raw.size());
  }
  if (comparer) comparer->end(bytes);
  return digest.result();
}

std::string difference(const Manifest::Database& database, std::uint64_t bytes, const std::string& digest) {
  if (bytes != database.bytes)
    return fmt::format("it has {} bytes, the manifest says {}", bytes, database.bytes);
  if (digest != database.xxh128)
    return fmt::format("its checksum is {}, the manifest says {}", digest, database.xxh128);
  return {};
}

const char* why_untold(FileComparison::Hashes hashes) {
  switch (hashes) {
    case FileComparison::Hashes::kNone:
      return "the snapshot keeps no page hashes of it";
    case FileComparison::Hashes::kOtherKey:
      return "its page hashes were made with another key than the one in the app's directory";
    default:
      return "its page hashes are damaged, too";
  }
}

void tell_pages(std::optional<PageComparer>& comparer, FileComparison& result) {
  if (!comparer) {
    result.untold = std::string("which pages cannot be told: ") + why_untold(result.hashes);
  } else if (comparer->all_differ()) {
    result.untold = "which pages cannot be told: its page hashes fit none of them";
  } else if (comparer->count() == 0) {
    result.untold = "which pages cannot be told: its page hashes fit all that it should have";
  } else {
    result.differing_pages = comparer->count();
    result.pages = std::move(comparer->pages());
  }
}

}  // namespace

FileComparison compare_file(int snapshot_dir_fd, const std::string& snapshot_path,
                            const Manifest::Database& database, const DigestKey* key, const Cancel& cancel,
                            const std::function<void(std::uint64_t)>& advance) {
  const std::string path = snapshot_path + "/" + database.name;
  const Fd file = open_file(snapshot_dir_fd, database.name, snapshot_path);
  FileComparison result;
  result.bytes = size_of(file.get(), path);
  std::optional<PageComparer> comparer = open_hashes(snapshot_dir_fd, snapshot_path, database, key, result);
  const Digest digest = read_through(file.get(), path, result.bytes, comparer, cancel, advance);
  result.difference = difference(database, result.bytes, to_hex(digest));
  if (!result.as_recorded())
    tell_pages(comparer, result);
  else if (comparer && comparer->count() > 0)
    result.hashes = FileComparison::Hashes::kDamaged;
  return result;
}

}  // namespace litepull
