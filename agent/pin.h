// Pins all databases of a set, at one point in time where that is possible.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/source_database.h"

namespace litepull {

// Databases that cannot be pinned are moved out of `databases` into the result.
struct Unpinned {
  std::string name;
  Problem problem;
};

struct PinResult {
  SetInfo set;  // its count of databases is the caller's to fill in
  std::vector<Unpinned> unpinned;
};

// With two or more databases: holds the write locks of all of them for the milliseconds in which their read
// transactions start, so that no commit lies between two of them. Writers are kept waiting for about
// kMaxLockHoldUs while a lock is waited for, and kMaxTotalHoldUs in all tries together; past that, or after
// `barrier_ms`, there is no barrier, and the set's note says why.
//
// Then WAL databases are pinned one after the other, and of the rollback-journal databases those whose lock
// is free: while one of them is held, no lock is waited for but for the moment of a commit. The others are
// left in `databases` unpinned, each to be pinned alone when its turn to be copied has come.
PinResult pin_set(Databases& databases, std::uint32_t barrier_ms);

inline constexpr std::uint64_t kMaxLockHoldUs = 25'000;
inline constexpr std::uint64_t kMaxTotalHoldUs = 100'000;
// For as long rollback-journal databases are pinned one after the other without a barrier.
inline constexpr std::uint64_t kMaxPinningUs = 150'000;

}  // namespace litepull
