#include "agent/page_intake.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace litepull {

void PageIntake::begin(std::uint32_t database, Image& image) {
  const std::lock_guard lock(mutex_);
  invariant(asked_.empty(), "pages of the last database are still to come");
  database_ = database;
  image_ = &image;
}

void PageIntake::ask(const std::vector<PageRun>& runs) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || asked_.size() + runs.size() <= kMaxRunsAsked; });
  if (failure_) std::rethrow_exception(failure_);
  asked_.insert(asked_.end(), runs.begin(), runs.end());
}

void PageIntake::wait_for_all() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || asked_.empty(); });
  if (failure_) std::rethrow_exception(failure_);
}

void PageIntake::fail(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  changed_.notify_all();
}

void PageIntake::put(ByteView body) {
  ByteView payload;
  const PagesHead head = decode_pages(body, payload);
  Image& image = expect_pages(head);
  ByteView raw = unpacker_.unpack(head, payload);
  try {
    for (const PageRun& run : head.runs) {
      const std::size_t size = std::size_t{run.count} * image.page_size();
      image.write(run.first, raw.first(size));
      raw = raw.subspan(size);
    }
    settle(head);
  } catch (const Error&) {
    fail(std::current_exception());  // the client did nothing wrong; the main thread tells it the reason
  }
}

// Checks before a byte is written that all of them were asked for and are the next ones.
Image& PageIntake::expect_pages(const PagesHead& head) {
  const std::lock_guard lock(mutex_);
  require_peer(image_ != nullptr && head.database == database_, "pages of a database that is not prepared");
  std::uint64_t pages = 0;
  auto asked = asked_.begin();
  std::uint32_t used = 0;  // of the first run in asked_
  for (const PageRun& run : head.runs) {
    pages += run.count;
    for (std::uint32_t left = run.count, next = run.first; left > 0;) {
      require_peer(asked != asked_.end() && next == asked->first + used, "pages that were not asked for");
      const std::uint32_t part = std::min(left, asked->count - used);
      left -= part;
      next += part;
      used += part;
      if (used < asked->count) continue;
      ++asked;
      used = 0;
    }
  }
  require_peer(pages * image_->page_size() == head.raw_bytes, "pages of another size");
  return *image_;
}

void PageIntake::settle(const PagesHead& head) {
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t pages = 0;
    for (const PageRun& run : head.runs) pages += run.count;
    while (pages > 0) {
      PageRun& front = asked_.front();
      const auto part = static_cast<std::uint32_t>(std::min<std::uint64_t>(pages, front.count));
      front.first += part;
      front.count -= part;
      pages -= part;
      if (front.count == 0) asked_.pop_front();
    }
  }
  changed_.notify_all();
}

}  // namespace litepull
