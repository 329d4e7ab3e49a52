#include "agent/hash_feed.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace litepull {

void HashFeed::expect(std::vector<std::uint32_t> pages) {
  const std::lock_guard lock(mutex_);
  expected_ = std::move(pages);
}

std::uint32_t HashFeed::pages_of(std::uint32_t database) {
  const std::lock_guard lock(mutex_);
  return forgone_.contains(database) ? 0 : expected_.at(database);
}

void HashFeed::forgo(std::uint32_t database) {
  const std::lock_guard lock(mutex_);
  forgone_.insert(database);
}

void HashFeed::add(Hashes hashes) {
  {
    const std::lock_guard lock(mutex_);
    require_peer(hashes.database < expected_.size(), "page hashes of no database");
    require_peer(hashes.database >= heard_of_, "page hashes out of order");
    if (hashes.database != heard_of_) heard_ = 0;
    heard_of_ = hashes.database;
    require_peer(hashes.hashes.size() <= expected_[heard_of_] - heard_, "more page hashes than pages");
    heard_ += static_cast<std::uint32_t>(hashes.hashes.size());
    if (hashes.database < current_) return;  // its comparison has ended, for example with an error
    require_peer(held_ + hashes.hashes.size() <= kHashWindow, "page hashes too far ahead");
    held_ += hashes.hashes.size();
    chunks_.push_back({hashes.database, std::move(hashes.hashes), 0});
  }
  changed_.notify_all();
}

void HashFeed::fail(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  changed_.notify_all();
}

void HashFeed::finish(std::uint32_t database) {
  const std::lock_guard lock(mutex_);
  current_ = database + 1;
  while (!chunks_.empty() && chunks_.front().database < current_) {
    held_ -= chunks_.front().hashes.size() - chunks_.front().used;
    chunks_.pop_front();
  }
}

void HashFeed::take(std::uint32_t database, std::uint32_t count, std::vector<std::uint32_t>& out) {
  out.clear();
  std::unique_lock lock(mutex_);
  while (out.size() < count) {
    changed_.wait(lock, [&] { return failure_ || !chunks_.empty(); });
    if (failure_) std::rethrow_exception(failure_);
    Chunk& chunk = chunks_.front();
    require_peer(chunk.database == database, "page hashes of another database than the one that is compared");
    const std::size_t part = std::min<std::size_t>(count - out.size(), chunk.hashes.size() - chunk.used);
    const auto from = chunk.hashes.begin() + static_cast<std::ptrdiff_t>(chunk.used);
    out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(part));
    chunk.used += part;
    held_ -= part;
    if (chunk.used == chunk.hashes.size()) chunks_.pop_front();
  }
}

}  // namespace litepull
