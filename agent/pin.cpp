#include "agent/pin.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

constexpr useconds_t kLockPollUs = 300;
// A writer that was kept waiting gets this long before the next try.
constexpr useconds_t kBackOffUs = 10'000;

// The write locks that are held right now; given back when this goes out of scope.
class WriteLocks {
 public:
  explicit WriteLocks(Databases& databases) : databases_(databases) {}
  ~WriteLocks() { release(); }
  WriteLocks(const WriteLocks&) = delete;
  WriteLocks& operator=(const WriteLocks&) = delete;

  // True when all are held. Gives up when the first has been held for kMaxLockHoldUs, or at `deadline_us`.
  bool acquire(std::uint64_t deadline_us) {
    for (auto& database : databases_) {
      while (!database->try_lock()) {
        const std::uint64_t now = monotonic_us();
        if (now >= deadline_us || (held_ > 0 && now - since_us_ >= kMaxLockHoldUs)) return false;
        usleep(kLockPollUs);
      }
      if (held_++ == 0) since_us_ = monotonic_us();
    }
    return true;
  }

  // Returns how long the first lock was held.
  std::uint64_t release() {
    const std::uint64_t held_us = held_ > 0 ? monotonic_us() - since_us_ : 0;
    while (held_ > 0) databases_[--held_]->unlock();
    return held_us;
  }

 private:
  Databases& databases_;
  std::size_t held_ = 0;
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

bool pin_all(Databases& databases) {
  for (auto& database : databases) database->pin();
  return true;
}

// False when the locks were not had in time.
bool pin_at_barrier(Databases& databases, std::uint32_t barrier_ms, PinResult& result) {
  const std::uint64_t deadline_us = monotonic_us() + std::uint64_t{1000} * barrier_ms;
  do {
    WriteLocks locks(databases);
    const bool all = locks.acquire(deadline_us) && pin_all(databases);
    result.set.lock_hold_us = std::max(result.set.lock_hold_us, locks.release());
    if (all) return true;
    usleep(kBackOffUs);
  } while (monotonic_us() < deadline_us);
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
  if (databases.size() < 2 || !at_barrier) pin_each(databases, result.unpinned);
  if (databases.empty()) result.set.consistency = Consistency::kNone;
  if (!at_barrier) {
    result.set.consistency = Consistency::kPinned;
    result.set.skew_us = skew_us(databases);
  }
  return result;
}

}  // namespace litepull
