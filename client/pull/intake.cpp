#include "client/pull/intake.h"

#include <algorithm>

#include "common/error.h"
#include "common/wire/digest.h"

namespace litepull {

std::uint64_t database_bytes(const DatabaseInfo& info) {
  return std::uint64_t{info.page_size} * info.page_count;
}

Intake::Intake(const DatabaseInfo& info, const Staging& staging, Draft& draft)
    : info_(info), draft_(draft), digests_(draft.key()) {
  draft_.begin(info.base_pages > 0);
  if (info.base_pages > 0) base_ = draft_.read_base();
  hashes_.emplace(staging.create_hash_file(info.name), draft_.shown() + " (page hashes)",
                  HashFileHead{info.page_size, info.page_count}, draft_.key());
}

std::uint64_t Intake::take(const PagesHead& head, ByteView payload) {
  std::uint64_t pages = 0;
  for (const PageRun& run : head.runs) pages += run.count;
  require_peer(pages * info_.page_size == head.raw_bytes, "pages of another size");
  ByteView raw = unpacker_.unpack(head, payload);
  const std::uint32_t before = next_page_;
  for (const PageRun& run : head.runs) {
    take_from_base(run.first);
    require_peer(run.first == next_page_, "pages out of order");
    require_peer(std::uint64_t{run.first} + run.count - 1 <= info_.page_count,
                 "pages past the end of the database");
    const std::size_t size = std::size_t{run.count} * info_.page_size;
    take_run(run.count, raw.first(size));
    raw = raw.subspan(size);
  }
  return bytes(next_page_ - before);
}

std::uint64_t Intake::compared(std::uint32_t pages) {
  const std::uint32_t before = next_page_;
  require_peer(pages <= info_.base_pages && pages > compared_ && pages >= next_page_ - 1,
               "a comparison out of order");
  compared_ = pages;
  take_from_base(pages + 1);
  return bytes(next_page_ - before);
}

bool Intake::finish(const DatabaseEnd& end) {
  require_peer(end.page_count == info_.page_count, "an end with another number of pages");
  take_from_base(info_.page_count + 1);
  require_peer(next_page_ - 1 == info_.page_count, "an end before all pages were sent");
  const FileDigests digests = digests_.result();
  if (digests.keyed != end.digest) {
    require_peer(info_.base_pages > 0, "a database that does not fit its checksum");
    return false;
  }
  xxh128_ = digests.plain;
  hashes_->finish();
  draft_.finish(bytes(info_.page_count));
  return true;
}

std::uint64_t Intake::bytes(std::uint32_t pages) const {
  return std::uint64_t{info_.page_size} * pages;
}

// Pages before `end` that were not sent are the base's, as far as it was compared.
void Intake::take_from_base(std::uint32_t end) {
  const std::uint32_t at_once = kFileReadBytes / info_.page_size;
  while (next_page_ < end && next_page_ <= info_.base_pages) {
    const std::uint32_t count = std::min({at_once, end - next_page_, info_.base_pages - next_page_ + 1});
    const ByteView raw(raw_base_.data(), bytes(count));
    draft_.keep(bytes(next_page_ - 1), raw_base_.data(), raw.size());
    base_->hash_of(next_page_, raw, kept_);
    for (const std::uint32_t hash : kept_) hashes_->add(hash);
    digests_.add(raw);
    next_page_ += count;
  }
}

void Intake::take_run(std::uint32_t count, ByteView raw) {
  for (std::uint32_t i = 0; i < count; ++i)
    hashes_->add(page_hash(raw.subspan(bytes(i), info_.page_size), draft_.key()));
  digests_.add(raw);
  draft_.write(bytes(next_page_ - 1), raw);
  next_page_ += count;
}

}  // namespace litepull
