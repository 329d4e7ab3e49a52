#include "agent/image.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include "agent/guard_vfs.h"
#include "agent/spool.h"
#include "agent/sqlite.h"
#include "agent/sqlite_problem.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kShownImage = "the image of the snapshot's file";
constexpr std::size_t kCopiedAtOnceBytes = 1 << 20;

Error no_room(std::uint64_t bytes) {
  return Error(ErrorKind::kRefused,
               "no disk of the server has room for the " + std::to_string((bytes >> 20) + 1) +
                   " MiB of the snapshot's file, which must be whole there before anything is replaced",
               "free some space below /var/tmp on the server, then run this again");
}

Fd make_file(std::uint64_t bytes) {
  Fd file = open_unlinked_with_room(bytes);
  if (!file) throw no_room(bytes);
  const int code = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) throw no_room(bytes);
  if (code != 0) {
    errno = code;
    throw_errno(std::string("make ") + kShownImage);
  }
  return file;
}

}  // namespace

Image::Image(const RestoreItem& item, const DigestKey& key)
    : page_size_(item.page_size), pages_(item.pages), key_(key), file_(make_file(bytes())) {}

void Image::read(std::uint32_t first, std::uint32_t count, Bytes& out) const {
  out.resize(std::size_t{count} * page_size_);
  pread_all(file_.get(), out.data(), out.size(), std::uint64_t{first - 1} * page_size_, kShownImage);
}

void Image::write(std::uint32_t first, ByteView pages) {
  pwrite_all(file_.get(), pages.data(), pages.size(), std::uint64_t{first - 1} * page_size_, kShownImage);
}

void Image::copy_from(SourceDatabase& database) {
  try {
    database.read([&] { copy_pages(database); });
  } catch (const SqliteError& error) {
    throw Error(problem_of(error, "./" + database.name()));
  }
  database.release();
}

void Image::copy_pages(SourceDatabase& database) {
  const ReadAhead ahead(database.reader());
  Statement pages(database.reader(), "SELECT data FROM sqlite_dbpage('main')");
  Bytes block;
  std::uint32_t first = 1, next = 1;
  while (next <= pages_ && pages.step()) {
    const ByteView page = pages.blob();
    invariant(page.size() == page_size_, "a page of another size");
    block.insert(block.end(), page.begin(), page.end());
    ++next;
    if (block.size() < kCopiedAtOnceBytes) continue;
    write(first, block);
    block.clear();
    first = next;
  }
  if (!block.empty()) write(first, block);
}

Digest Image::digest() const {
  StreamingDigest digest(key_);
  Bytes block;
  const auto at_once = static_cast<std::uint32_t>(kCopiedAtOnceBytes / page_size_);
  for (std::uint32_t first = 1; first <= pages_;) {
    const std::uint32_t count = std::min(at_once, pages_ - first + 1);
    read(first, count, block);
    digest.add(block);
    first += count;
  }
  return digest.result();
}

}  // namespace litepull
