#include "agent/page_sender.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

// How many pages may be compared while differing pages wait for more, since they are smaller when compressed
// together. It must be well below what the client may be ahead, else both would wait for each other.
constexpr std::uint32_t kWaitPages = kHashWindow / 4;

// A few pages among many are compressed well on any link, because that takes little time compared with
// finding them. In a batch, one page in kFew of those among which it lies counts as few. A batch may have no
// gaps, as at the end of a database that grew. Then one page in kFewOfAll of all pages so far counts as few,
// because the link waits for it.
constexpr std::uint64_t kFew = 20, kFewOfAll = 50;
constexpr int kLevelForFew = 6;

std::uint32_t last_page(const PagesHead& head) {
  const PageRun& last = head.runs.back();
  return last.first + last.count - 1;
}

}  // namespace

PageSender::PageSender(FrameWriter& writer, HashFeed& hashes, const DigestKey& key, int level)
    : writer_(writer),
      hashes_(hashes),
      key_(key),
      level_(level),
      context_(ZSTD_createCCtx()),
      compressed_(kMaxBatchBytes),
      last_sent_us_(monotonic_us()) {
  invariant(context_ != nullptr, "no memory for compression");
}

void PageSender::start(const PageBlock& block) {
  base_pages_ = hashes_.pages_of(block.database);
  pages_sent_ = 0;
  reported_ = 0;
  page_size_ = block.page_size;
  pending_.database = block.database;
  last_sent_us_ = monotonic_us();  // the time before that was not spent waiting for pages
}

void PageSender::add(const PageBlock& block) {
  if (block.first_page == 1) start(block);
  const auto count = static_cast<std::uint32_t>(block.raw.size() / block.page_size);
  const std::uint32_t compared =
      block.first_page > base_pages_ ? 0 : std::min(count, base_pages_ - block.first_page + 1);
  if (compared > 0) add_differing(block, compared);
  if (compared == count) return;
  const ByteView raw = ByteView(block.raw).subspan(std::size_t{compared} * block.page_size);
  flush();
  PagesHead head;
  head.database = block.database;
  head.runs = {{block.first_page + compared, count - compared}};
  pages_sent_ += count - compared;
  send(head, raw);
}

void PageSender::add_differing(const PageBlock& block, std::uint32_t compared) {
  hashes_.take(block.database, compared, wanted_);
  for (std::uint32_t i = 0; i < compared; ++i) {
    const ByteView page = ByteView(block.raw).subspan(std::size_t{i} * block.page_size, block.page_size);
    if (page_hash(page, key_) != wanted_[i]) add_page(block.first_page + i, page);
  }
  const std::uint32_t last = block.first_page + compared - 1;
  const std::uint32_t silent = last - reported_;
  if (pending_.runs.empty() ? std::uint64_t{silent} * block.page_size >= kReportBytes : silent >= kWaitPages)
    report_compared(last);
}

void PageSender::add_page(std::uint32_t number, ByteView page) {
  const bool new_run =
      pending_.runs.empty() || pending_.runs.back().first + pending_.runs.back().count != number;
  if (pending_raw_.size() + page.size() > kMaxBatchBytes || (new_run && pending_.runs.size() == kMaxRuns))
    flush();
  if (pending_.runs.empty() || pending_.runs.back().first + pending_.runs.back().count != number)
    pending_.runs.push_back({number, 0});
  ++pending_.runs.back().count;
  pending_raw_.insert(pending_raw_.end(), page.begin(), page.end());
  ++pages_sent_;
}

void PageSender::report_compared(std::uint32_t pages) {
  flush();
  writer_.write(MessageType::kCompared, encode(Compared{pending_.database, pages}));
  reported_ = pages;
}

void PageSender::flush() {
  if (pending_.runs.empty()) return;
  send(pending_, pending_raw_);
  reported_ = last_page(pending_);  // the pages themselves tell the client so
  pending_.runs.clear();
  pending_raw_.clear();
}

void PageSender::end(DatabaseEnd end) {
  flush();
  end.pages_sent = std::exchange(pages_sent_, 0);
  hashes_.finish(end.database);
  writer_.write(MessageType::kEnd, encode(end));
}

void PageSender::fail(const DatabaseFailed& failed) {
  pending_.runs.clear();
  pending_raw_.clear();
  pages_sent_ = 0;
  hashes_.finish(failed.database);
  writer_.write(MessageType::kFailed, encode(failed));
}

bool PageSender::are_few(const PagesHead& head, ByteView raw) const {
  const std::uint64_t last = last_page(head), range = last - head.runs.front().first + 1;
  return raw.size() * kFew <= range * page_size_ || pages_sent_ * kFewOfAll <= last;
}

void PageSender::send(PagesHead& head, ByteView raw) {
  LevelChoice::Batch cost;
  const std::uint64_t started_us = monotonic_us();
  cost.gather_us = started_us - last_sent_us_;
  cost.level =
      level_ == kAutoLevel ? std::max(choice_.next(), are_few(head, raw) ? kLevelForFew : 0) : level_;
  const ByteView compressed = cost.level == 0 ? ByteView() : compress(raw, cost.level);
  const ByteView payload = compressed.empty() ? raw : compressed;
  const std::uint64_t compressed_us = monotonic_us();
  head.codec = compressed.empty() ? Codec::kRaw : Codec::kZstd;
  head.raw_bytes = static_cast<std::uint32_t>(raw.size());
  writer_.write(MessageType::kPages, encode(head), payload);
  last_sent_us_ = monotonic_us();
  cost.raw_bytes = raw.size();
  cost.wire_bytes = payload.size();
  cost.compress_us = compressed_us - started_us;
  cost.write_us = last_sent_us_ - compressed_us;
  choice_.sent(cost);
}

// Each batch is a zstd frame of its own, so that a receiver never needs memory for more than one batch. The
// result is valid until the next call. It is empty when compression saves nothing.
ByteView PageSender::compress(ByteView raw, int level) {
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), compressed_.data(), raw.size() - 1, raw.data(), raw.size(), level);
  return ZSTD_isError(size) == 0 ? ByteView(compressed_.data(), size) : ByteView{};
}

}  // namespace litepull
