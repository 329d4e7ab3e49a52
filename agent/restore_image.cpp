#include "agent/restore_image.h"

#include <algorithm>

#include "agent/database_header.h"
#include "common/error.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

// How many pages are compared between two reports to the client. It is less than what the client may be
// ahead.
constexpr std::uint32_t kReportPages = 16 * 1024;
constexpr std::uint64_t kComparedAtOnceBytes = 1 << 20;

}  // namespace

// Collects the pages that the client is to send, and asks for them in messages of a bounded size.
class ImageMaker::Asking {
 public:
  Asking(FrameWriter& writer, PageIntake& intake, std::uint32_t database, std::uint8_t round, bool only_count)
      : writer_(writer), intake_(intake), only_count_(only_count) {
    needed_.database = database;
    needed_.round = round;
  }

  void add(std::uint32_t first, std::uint32_t count) {
    total_ += count;
    if (only_count_) return;
    auto& runs = needed_.runs;
    if (!runs.empty() && runs.back().first + runs.back().count == first) {
      runs.back().count += count;
      return;
    }
    if (runs.size() == kMaxRuns) flush();
    runs.push_back({first, count});
  }

  void flush() {
    if (needed_.runs.empty()) return;
    intake_.ask(needed_.runs);
    writer_.write(MessageType::kNeeded, encode(needed_));
    needed_.runs.clear();
  }

  std::uint32_t total() const { return total_; }

 private:
  FrameWriter& writer_;
  PageIntake& intake_;
  const bool only_count_;
  Needed needed_;
  std::uint32_t total_ = 0;
};

void ImageMaker::make(RestoreWork& work) {
  Ready ready;
  ready.database = work.place.target.index;
  work.image = std::make_unique<Image>(work.place.item, request_.key);
  if (work.source) {
    work.source->pin();
    work.image->copy_from(*work.source);
    ready.hold_us = work.source->hold_us();
    work.source.reset();  // closes it, so that only the app has its locks and files
  }
  if (request_.mode == RestoreMode::kRestore) client_.pages.begin(ready.database, *work.image);
  work.differing = ready.differing = compare(work);
  client_.hashes.finish(ready.database);
  if (request_.mode == RestoreMode::kCompare) {
    work.image.reset();
  } else {
    prove(work);
    if (!work.place.there) work.fresh = std::make_unique<NewFile>(work.place.item.name, *work.image);
  }
  writer_.write(MessageType::kReady, encode(ready));
}

// Asks for the pages that differ and returns their number.
std::uint32_t ImageMaker::compare(RestoreWork& work) {
  const RestoreItem& item = work.place.item;
  Asking asking(writer_, client_.pages, work.place.target.index, 0, request_.mode == RestoreMode::kCompare);
  const auto at_once = static_cast<std::uint32_t>(kComparedAtOnceBytes / item.page_size);
  std::uint32_t reported = 0;
  for (std::uint32_t first = 1; first <= work.compared;) {
    const std::uint32_t count = std::min(at_once, work.compared - first + 1);
    compare_block(work, first, count, asking);
    first += count;
    if (first - 1 - reported < kReportPages) continue;
    reported = first - 1;
    report(work, reported, asking);
  }
  if (work.compared < item.pages) asking.add(work.compared + 1, item.pages - work.compared);
  if (reported < item.pages) report(work, item.pages, asking);
  return asking.total();
}

void ImageMaker::compare_block(RestoreWork& work, std::uint32_t first, std::uint32_t count, Asking& asking) {
  client_.hashes.take(work.place.target.index, count, wanted_);
  work.image->read(first, count, block_);
  const std::uint32_t size = work.place.item.page_size;
  for (std::uint32_t i = 0; i < count; ++i)
    if (page_hash(ByteView(block_).subspan(std::size_t{i} * size, size), request_.key) != wanted_[i])
      asking.add(first + i, 1);
}

void ImageMaker::report(const RestoreWork& work, std::uint32_t pages, Asking& asking) {
  asking.flush();
  writer_.write(MessageType::kCompared, encode(Compared{work.place.target.index, pages}));
}

// The image may be wrong although every page hash was right, by two pages with one hash or by a bad disk.
// Then all pages are sent once more.
void ImageMaker::prove(RestoreWork& work) {
  const RestoreItem& item = work.place.item;
  client_.pages.wait_for_all();
  if (work.image->digest() == item.digest) return require_database(work);
  Asking asking(writer_, client_.pages, work.place.target.index, 1, false);
  asking.add(1, item.pages);
  asking.flush();
  client_.pages.wait_for_all();
  work.differing = item.pages;
  if (work.image->digest() == item.digest) return require_database(work);
  throw Error(ErrorKind::kCorrupt,
              item.name + ": what arrived on the server is not what the snapshot's manifest says",
              "check the snapshot with litepull verify; nothing was changed on the server");
}

// Whatever the client sends, only a database may get a database's name.
void ImageMaker::require_database(const RestoreWork& work) {
  work.image->read(1, 1, block_);
  const std::string why = why_no_database(block_, work.place.item.page_size);
  if (why.empty()) return;
  throw Error(ErrorKind::kCorrupt, work.place.item.name + ": what arrived is no SQLite database: " + why,
              "check the snapshot with litepull verify; nothing was changed on the server");
}

}  // namespace litepull
