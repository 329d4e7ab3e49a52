#include "agent/pin.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

constexpr useconds_t kLockPollUs = 300;
constexpr useconds_t kFirstBackOffUs = 5'000;

// The write locks that are held right now; given back when this goes out of scope, and the longest time that
// one was held is then in `longest_us`, the time that any was, in `total_us`.
class WriteLocks {
 public:
  WriteLocks(std::uint64_t& longest_us, std::uint64_t& total_us)
      : longest_us_(longest_us), total_us_(total_us) {}
  ~WriteLocks() {
    if (held_.empty()) return;
    for (SourceDatabase* database : held_) database->unlock();
    const std::uint64_t held_us = monotonic_us() - since_us_;
    longest_us_ = std::max(longest_us_, held_us);
    total_us_ += held_us;
  }
  WriteLocks(const WriteLocks&) = delete;
  WriteLocks& operator=(const WriteLocks&) = delete;

  // False when the lock was not had before the first one had been held for kMaxLockHoldUs or, for the first,
  // at `deadline_us`: waiting for that one keeps nobody waiting.
  bool acquire(SourceDatabase& database, std::uint64_t deadline_us) {
    for (;;) {
      const std::uint64_t now_us = monotonic_us();
      if (now_us >= (held_.empty() ? deadline_us : since_us_ + kMaxLockHoldUs)) return false;
      if (database.try_lock()) break;
      usleep(kLockPollUs);
    }
    if (held_.empty()) since_us_ = monotonic_us();
    held_.push_back(&database);
    return true;
  }

  // kMaxTotalHoldUs, with what earlier tries took.
  bool were_held_for_long() const { return total_us_ + monotonic_us() - since_us_ >= kMaxTotalHoldUs; }

 private:
  std::uint64_t& longest_us_;
  std::uint64_t& total_us_;
  std::vector<SourceDatabase*> held_;
  std::uint64_t since_us_ = 0;
};

// A database whose pin fails leaves the set; the others are not held up by it.
void pin_each(Databases& databases, std::vector<Unpinned>& unpinned) {
  Databases pinned;
  for (auto& database : databases) {
    try {
      database->pin();
      pinned.push_back(std::move(database));
    } catch (const Error& error) {
      unpinned.push_back({database->name(), {error.kind(), error.message(), error.hint()}});
    }
  }
  databases = std::move(pinned);
}

std::vector<SourceDatabase*> pointers(const Databases& databases) {
  std::vector<SourceDatabase*> all;
  for (const auto& database : databases) all.push_back(database.get());
  return all;
}

// One try. The database whose lock was not had goes to the front of `order`: the next try waits for it while
// it holds nothing else, so that one long write transaction does not keep all other databases' writers
// waiting.
bool lock_and_pin(std::vector<SourceDatabase*>& order, WriteLocks& locks, std::uint64_t deadline_us) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (locks.acquire(*order[i], deadline_us)) continue;
    std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i),
                order.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return false;
  }
  for (SourceDatabase* database : order) {
    if (locks.were_held_for_long()) return false;
    database->pin();
  }
  return true;
}

// False when the locks were not had together in time, or writers have been held for long enough.
bool pin_at_barrier(Databases& databases, std::uint32_t barrier_ms, PinResult& result) {
  for (auto& database : databases) database->open_locker();
  const std::uint64_t deadline_us = monotonic_us() + std::uint64_t{1000} * barrier_ms;
  std::vector<SourceDatabase*> order = pointers(databases);
  useconds_t back_off_us = kFirstBackOffUs;
  std::uint64_t total_us = 0;
  while (monotonic_us() < deadline_us && total_us < kMaxTotalHoldUs) {
    {
      WriteLocks locks(result.set.lock_hold_us, total_us);
      if (lock_and_pin(order, locks, deadline_us)) return true;
    }
    usleep(back_off_us);
    back_off_us *= 2;
  }
  return false;
}

// A database that cannot be locked or read costs the set its barrier, not the run: pin_each finds it again.
bool try_barrier(Databases& databases, std::uint32_t barrier_ms, PinResult& result) {
  try {
    return pin_at_barrier(databases, barrier_ms, result);
  } catch (const Error&) {
    return false;
  }
}

std::uint64_t skew_us(const Databases& databases) {
  auto since = [](const auto& database) { return database->pinned_since_us(); };
  if (databases.empty()) return 0;
  const auto [first, last] = std::minmax_element(
      databases.begin(), databases.end(), [&](const auto& a, const auto& b) { return since(a) < since(b); });
  return since(*last) - since(*first);
}

}  // namespace

PinResult pin_set(Databases& databases, std::uint32_t barrier_ms) {
  PinResult result;
  result.set.consistency = Consistency::kBarrier;  // one database is one point in time by itself
  const bool at_barrier = databases.size() < 2 || try_barrier(databases, barrier_ms, result);
  for (auto& database : databases) database->close_locker();
  if (databases.size() < 2 || !at_barrier) pin_each(databases, result.unpinned);
  if (!at_barrier) {
    result.set.consistency = Consistency::kPinned;
    result.set.skew_us = skew_us(databases);
  }
  if (databases.empty()) result.set.consistency = Consistency::kNone;
  return result;
}

}  // namespace litepull
