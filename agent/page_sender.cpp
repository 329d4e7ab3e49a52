#include "agent/page_sender.h"

#include <algorithm>

#include "common/error.h"
#include "common/page_hash.h"
#include "common/posix.h"

namespace litepull {
namespace {

// How much is compared between two reports to the client: often enough for it to work in step and to send
// hashes on, seldom enough for differing pages to be compressed together.
constexpr std::uint64_t kReportBytes = 16ULL << 20;

}  // namespace

PageSender::PageSender(FrameWriter& writer, HashFeed& hashes, int level)
    : writer_(writer),
      hashes_(hashes),
      level_(level),
      context_(ZSTD_createCCtx()),
      compressed_(kMaxBatchBytes),
      last_sent_us_(monotonic_us()) {
  check(context_ != nullptr, "no memory for compression");
}

void PageSender::start(const PageBlock& block) {
  base_ = hashes_.of(block.database);
  pages_sent_ = 0;
  silent_bytes_ = 0;
  pending_.database = block.database;
  last_sent_us_ = monotonic_us();  // what came before was not waiting for pages
}

void PageSender::add(const PageBlock& block) {
  if (block.first_page == 1) start(block);
  const auto count = static_cast<std::uint32_t>(block.raw.size() / block.page_size);
  const std::uint32_t compared =
      block.first_page > base_.pages ? 0 : std::min(count, base_.pages - block.first_page + 1);
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
    if (page_hash(page, base_.seed) != wanted_[i]) add_page(block.first_page + i, page);
  }
  silent_bytes_ += std::uint64_t{compared} * block.page_size;
  if (silent_bytes_ >= kReportBytes) report_compared(block.first_page + compared - 1);
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
  silent_bytes_ = 0;
}

void PageSender::flush() {
  if (pending_.runs.empty()) return;
  send(pending_, pending_raw_);
  pending_.runs.clear();
  pending_raw_.clear();
}

void PageSender::end(DatabaseEnd end) {
  flush();
  end.pages_sent = pages_sent_;
  hashes_.finish(end.database);
  writer_.write(MessageType::kEnd, encode(end));
}

void PageSender::fail(const DatabaseFailed& failed) {
  pending_.runs.clear();
  pending_raw_.clear();
  hashes_.finish(failed.database);
  writer_.write(MessageType::kFailed, encode(failed));
}

void PageSender::send(PagesHead& head, ByteView raw) {
  LevelChoice::Batch cost;
  const std::uint64_t started_us = monotonic_us();
  cost.gather_us = started_us - last_sent_us_;
  cost.level = level_ == kAutoLevel ? choice_.next() : level_;
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

// Each batch is a zstd frame of its own, so that a receiver never needs more memory than one batch. The
// result is valid until the next call, and empty when compressing saves nothing.
ByteView PageSender::compress(ByteView raw, int level) {
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), compressed_.data(), raw.size() - 1, raw.data(), raw.size(), level);
  return ZSTD_isError(size) == 0 ? ByteView(compressed_.data(), size) : ByteView{};
}

}  // namespace litepull
