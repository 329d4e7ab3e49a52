// Pins all databases of a set, at one point in time if possible.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/source_database.h"

namespace litepull {

// A database that could not be pinned. It is removed from `databases`.
struct Unpinned {
  std::string name;
  Problem problem;
};

struct PinResult {
  SetInfo set;  // the caller fills in its number of databases
  std::vector<Unpinned> unpinned;
};

// With two or more databases, this first tries a barrier: it holds the write locks of all of them for the
// milliseconds in which their read transactions start, so that no commit lies between two of them. Writers
// have to wait for about kMaxLockHoldUs while a lock is waited for, and for kMaxTotalHoldUs in all tries
// together. Past that, or after `barrier_ms`, there is no barrier, and the set's note says why.
//
// Without a barrier, WAL databases are pinned one after the other, and so are the rollback-journal databases
// whose lock is free. While a rollback-journal database is pinned, a lock is only waited for as long as a
// commit takes. The remaining databases stay in `databases` unpinned. Each of them is pinned alone when its
// turn to be copied comes.
PinResult pin_set(Databases& databases, std::uint32_t barrier_ms);

inline constexpr std::uint64_t kMaxLockHoldUs = 25'000;
inline constexpr std::uint64_t kMaxTotalHoldUs = 100'000;
// The longest time in which rollback-journal databases are pinned one after the other without a barrier.
inline constexpr std::uint64_t kMaxPinningUs = 150'000;

}  // namespace litepull
