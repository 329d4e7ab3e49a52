#include "client/restore/file.h"

#include <algorithm>

#include "client/base/file_digest.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/page_size.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

constexpr std::uint32_t kAtOnceBytes = 1 << 20;

std::uint32_t page_size_of(int fd, const std::string& shown) {
  PageSizeField field;
  pread_all(fd, field, sizeof field, kPageSizeAt, shown);
  return page_size_in(field);
}

}  // namespace

RestoreFile::RestoreFile(int snapshot_dir_fd, const std::string& shown, const Manifest::Database& entry,
                         const DigestKey& key, const Cancel& cancel)
    : shown_(shown + "/" + entry.name), file_(open_file(snapshot_dir_fd, entry.name, shown)), key_(key) {
  const std::string verify = "check the snapshot with litepull verify, and restore another one";
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw_errno("look at " + shown_);
  item_.name = entry.name;
  item_.page_size = page_size_of(file_.get(), shown_);
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (!valid_page_size(item_.page_size) || bytes != entry.bytes || bytes % item_.page_size != 0 ||
      bytes / item_.page_size > kMaxPageCount)
    throw Error(ErrorKind::kCorrupt, printable(shown_) + " does not have the size that its manifest says",
                verify);
  item_.pages = static_cast<std::uint32_t>(bytes / item_.page_size);
  const FileDigests digests = file_digests(file_.get(), shown_, key_, cancel);
  item_.digest = digests.keyed;
  if (to_hex(digests.plain) != entry.xxh128)
    throw Error(ErrorKind::kCorrupt, printable(shown_) + " does not match the checksum in its manifest",
                verify);
  hashes_ = HashFile::open(open_hash_file(snapshot_dir_fd, entry.name, shown), shown_ + " (page hashes)",
                           bytes, key_);
  if (hashes_ && hashes_->head().page_size != item_.page_size) hashes_.reset();
}

void RestoreFile::read(std::uint32_t first, std::uint32_t count, Bytes& out) const {
  out.resize(std::size_t{count} * item_.page_size);
  pread_all(file_.get(), out.data(), out.size(), std::uint64_t{first - 1} * item_.page_size, shown_);
}

void RestoreFile::hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const {
  if (hashes_) {
    out = hashes_->read(first, count);
    return;
  }
  out.clear();
  Bytes pages;
  for (std::uint32_t done = 0; done < count;) {
    const std::uint32_t part = std::min(kAtOnceBytes / item_.page_size, count - done);
    read(first + done, part, pages);
    for (std::size_t at = 0; at < pages.size(); at += item_.page_size)
      out.push_back(page_hash(ByteView(pages).subspan(at, item_.page_size), key_));
    done += part;
  }
}

}  // namespace litepull
