#include "agent/pin.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

constexpr useconds_t kLockPollUs = 300;
constexpr std::uint64_t kMaxCommitUs = 5'000;  // how long to wait for a writer that is only committing
constexpr useconds_t kFirstBackOffUs = 5'000;

// The write locks that are held now. The destructor releases them. It puts the longest time that one was held
// into `longest_us`, and adds the time that any was held to `total_us`.
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

  // False when the lock was not free in time. For the first lock, that is at `deadline_us`: no writer has to
  // wait while it is waited for. For a later lock, that is when the first one was held for kMaxLockHoldUs.
  // Many free locks may take longer, up to kMaxTotalHoldUs.
  bool acquire(SourceDatabase& database, std::uint64_t deadline_us) {
    while (!database.try_lock()) {
      if (monotonic_us() >= (held_.empty() ? deadline_us : since_us_ + kMaxLockHoldUs)) return false;
      usleep(kLockPollUs);
    }
    if (held_.empty()) since_us_ = monotonic_us();
    held_.push_back(&database);
    return true;
  }

  // True after kMaxTotalHoldUs, with the time of earlier tries included.
  bool were_held_for_long() const { return total_us_ + monotonic_us() - since_us_ >= kMaxTotalHoldUs; }

 private:
  std::uint64_t& longest_us_;
  std::uint64_t& total_us_;
  std::vector<SourceDatabase*> held_;
  std::uint64_t since_us_ = 0;
};

// Calls `pin` for each database in this mode. A database that cannot be pinned leaves the set and does not
// delay the others.
template <typename Pin>
void pin_each(Databases& databases, JournalMode mode, std::vector<Unpinned>& unpinned, Pin pin) {
  std::erase_if(databases, [&](const auto& database) {
    if (database->journal_mode() != mode || database->pinned()) return false;
    try {
      pin(*database);
      return false;
    } catch (const Error& error) {
      unpinned.push_back({database->name(), error.problem()});
      return true;
    }
  });
}

// WAL databases come first, because nobody waits while their locks are waited for.
void pin_one_by_one(Databases& databases, std::vector<Unpinned>& unpinned) {
  pin_each(databases, JournalMode::kWal, unpinned, [](SourceDatabase& database) { database.pin(); });
  const std::uint64_t until_us = monotonic_us() + kMaxPinningUs;
  pin_each(databases, JournalMode::kRollback, unpinned, [&](SourceDatabase& database) {
    const std::uint64_t give_up_us = std::min(until_us, monotonic_us() + kMaxCommitUs);
    while (monotonic_us() < give_up_us && !database.try_pin()) usleep(kLockPollUs);
  });
}

void pin_alone(Databases& databases, std::vector<Unpinned>& unpinned) {
  for (const JournalMode mode : {JournalMode::kWal, JournalMode::kRollback})
    pin_each(databases, mode, unpinned, [](SourceDatabase& database) { database.pin(); });
}

std::vector<SourceDatabase*> pointers(const Databases& databases) {
  std::vector<SourceDatabase*> all;
  for (const auto& database : databases) all.push_back(database.get());
  return all;
}

// Makes one try. The database whose lock was not free goes to the front of `order`. The next try waits for it
// before it holds any other lock, so that one long write transaction does not block the writers of all other
// databases.
bool lock_and_pin(std::vector<SourceDatabase*>& order, WriteLocks& locks, std::uint64_t deadline_us) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (locks.acquire(*order[i], deadline_us) && !locks.were_held_for_long()) continue;
    std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i),
                order.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return false;
  }
  for (SourceDatabase* database : order)
    if (locks.were_held_for_long() || !database->start_pin()) return false;
  return true;
}

// Returns an empty text when all are pinned, else why the locks were not free together in time. Databases
// that were pinned by then stay pinned, and the next try pins them again.
std::string pin_at_barrier(Databases& databases, std::uint32_t barrier_ms, PinResult& result) {
  for (auto& database : databases) database->open_locker();
  const std::uint64_t deadline_us = monotonic_us() + std::uint64_t{1000} * barrier_ms;
  std::vector<SourceDatabase*> order = pointers(databases);
  useconds_t back_off_us = kFirstBackOffUs;
  std::uint64_t total_us = 0;
  while (monotonic_us() < deadline_us && total_us < kMaxTotalHoldUs) {
    {
      WriteLocks locks(result.set.lock_hold_us, total_us);
      if (lock_and_pin(order, locks, deadline_us)) return "";
    }
    for (auto& database : databases) database->release();
    usleep(back_off_us);
    back_off_us *= 2;
  }
  if (barrier_ms == 0) return "BARRIER_TIMEOUT_MS is 0";
  if (total_us >= kMaxTotalHoldUs)
    return "writers would have had to wait for more than " + std::to_string(kMaxTotalHoldUs / 1000) + " ms";
  return "the write lock of " + printable(order.front()->name()) +
         " was not free together with all others within " + std::to_string(barrier_ms) + " ms";
}

// When a database cannot be locked or read, the set gets no barrier, but the run goes on. The problem shows
// again when that database is pinned by itself.
std::string try_barrier(Databases& databases, std::uint32_t barrier_ms, PinResult& result) {
  std::string why;
  try {
    why = pin_at_barrier(databases, barrier_ms, result);
  } catch (const Error& error) {
    why = error.message();
  }
  for (auto& database : databases) {
    database->close_locker();
    if (!why.empty()) database->release();
  }
  return why;
}

void settle(Databases& databases, std::vector<Unpinned>& unpinned) {
  std::erase_if(databases, [&](const auto& database) {
    try {
      if (database->pinned()) database->settle_pin();
      return false;
    } catch (const Error& error) {
      unpinned.push_back({database->name(), error.problem()});
      return true;
    }
  });
}

std::uint64_t skew_us(const Databases& databases) {
  std::uint64_t first = UINT64_MAX, last = 0;
  for (const auto& database : databases) {
    if (!database->pinned()) continue;
    first = std::min(first, database->pinned_since_us());
    last = std::max(last, database->pinned_since_us());
  }
  return last > first ? last - first : 0;
}

}  // namespace

PinResult pin_set(Databases& databases, std::uint32_t barrier_ms) {
  PinResult result;
  result.set.consistency = Consistency::kBarrier;  // a single database has one point in time by itself
  if (databases.size() < 2) {
    pin_alone(databases, result.unpinned);
  } else if (std::string why = try_barrier(databases, barrier_ms, result); why.empty()) {
    settle(databases, result.unpinned);
  } else {
    pin_one_by_one(databases, result.unpinned);
    result.set.consistency = Consistency::kPinned;
    result.set.skew_us = skew_us(databases);
    result.set.note = std::move(why);
  }
  if (databases.empty()) result.set.consistency = Consistency::kNone;
  return result;
}

}  // namespace litepull
