// Pins all databases of a set, at one point in time where that is possible.
#pragma once

#include <cstdint>
#include <memory>
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
// kMaxLockHoldUs until the last lock is had, and kMaxTotalHoldUs in all, pinning included; past that, or
// after `barrier_ms`, the databases are pinned one after the other instead, and the skew says how far apart.
PinResult pin_set(std::vector<std::unique_ptr<SourceDatabase>>& databases, std::uint32_t barrier_ms);

inline constexpr std::uint64_t kMaxLockHoldUs = 25'000;
inline constexpr std::uint64_t kMaxTotalHoldUs = 100'000;

}  // namespace litepull
