#include "agent/hold_watch.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "common/posix.h"

namespace litepull {
namespace {

// SQLite's COMMIT of a read transaction fails only when the file's lock cannot be released. The database is
// closed next, and that releases it.
void let_go(SourceDatabase& database) noexcept {
  try {
    database.release();
  } catch (const std::exception&) {
  }
}

}  // namespace

HoldWatch::~HoldWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HoldWatch::watch(SourceDatabase& database) {
  {
    const std::lock_guard lock(mutex_);
    watched_.insert(&database);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

void HoldWatch::take(SourceDatabase& database) {
  const std::lock_guard lock(mutex_);
  watched_.erase(&database);
}

void HoldWatch::let_go_of_all() {
  const std::lock_guard lock(mutex_);
  let_go_of(std::numeric_limits<std::uint64_t>::max());
}

void HoldWatch::let_go_of(std::uint64_t pinned_before_us) {
  std::erase_if(watched_, [&](SourceDatabase* database) {
    const bool due = database->pinned_since_us() < pinned_before_us;
    if (due) let_go(*database);
    return due;
  });
}

void HoldWatch::run() {
  constexpr std::chrono::milliseconds kStep(20);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (watched_.empty())
      changed_.wait(lock);
    else
      changed_.wait_for(lock, kStep);
    let_go_of(monotonic_us() - std::min(monotonic_us(), kLetGoAfterUs));
  }
}

}  // namespace litepull
