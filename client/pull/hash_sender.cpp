#include "client/pull/hash_sender.h"

#include <algorithm>
#include <utility>

namespace litepull {
namespace {

constexpr std::uint32_t kMaxBaseBytes = 16 << 20;  // read for one message, when the hashes were not kept

bool wants_hashes(const DatabaseInfo& info) {
  return !info.failed && !info.unchanged && info.base_pages > 0;
}

}  // namespace

HashSender::HashSender(FrameWriter& writer, Drafts& drafts, std::vector<DatabaseInfo> databases)
    : writer_(writer), drafts_(drafts), databases_(std::move(databases)), counts_(databases_.size()) {
  if (std::any_of(databases_.begin(), databases_.end(), wants_hashes))
    thread_ = std::thread([this] { run(); });
}

HashSender::~HashSender() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HashSender::compared(std::uint32_t database, std::uint32_t pages) {
  {
    const std::lock_guard lock(mutex_);
    Count& count = counts_.at(database);
    const std::uint32_t used = std::min(pages, count.sent);
    if (used <= count.used) return;
    ahead_ -= used - count.used;
    count.used = used;
  }
  changed_.notify_all();
}

void HashSender::ended(std::uint32_t database) {
  {
    const std::lock_guard lock(mutex_);
    Count& count = counts_.at(database);
    ahead_ -= count.sent - count.used;
    count.used = count.sent;
    count.ended = true;
  }
  changed_.notify_all();
}

bool HashSender::wait_for_room(std::uint32_t database, std::uint32_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stop_ || counts_[database].ended || ahead_ + count <= kHashWindow; });
  if (stop_ || counts_[database].ended) return false;
  counts_[database].sent += count;
  ahead_ += count;
  return true;
}

void HashSender::run() {
  try {
    for (const DatabaseInfo& info : databases_)
      if (wants_hashes(info)) send_database(info);
  } catch (const Error&) {
    // A broken link.
  }
}

void HashSender::send_database(const DatabaseInfo& info) {
  std::optional<BaseReader> base;
  Hashes message;
  message.database = info.index;
  for (std::uint32_t first = 1; first <= info.base_pages;) {
    const std::uint32_t at_once =
        std::min<std::uint32_t>(kMaxHashesPerMessage, kMaxBaseBytes / info.page_size);
    const std::uint32_t count = std::min(at_once, info.base_pages - first + 1);
    if (!wait_for_room(info.index, count)) return;
    try {
      if (!base) base = drafts_.of(info.name).read_base();
      base->hash(first, count, message.hashes);
    } catch (const BaseError&) {
      message.hashes.assign(count, 0);  // equals no page's hash, so the agent sends the pages
    }
    writer_.write(MessageType::kHashes, encode(message));
    first += count;
  }
}

}  // namespace litepull
