// Snapshots of a history, and what retention decides about them.
#pragma once

#include "client/store/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <random>

#include "tests/unit/store/moments.h"

namespace litepull {

inline SnapshotFacts at(std::int64_t unix_s, Verified verified = Verified::kOk) {
  const SnapshotTime time{unix_s, 60};
  return {format_snapshot_name(time), time, verified, "", false};
}

inline SnapshotFacts aged(std::int64_t age_s, Verified verified = Verified::kOk) {
  return at(kNow - age_s, verified);
}

inline std::vector<std::string> reasons(const std::vector<SnapshotFacts>& snapshots,
                                        std::int64_t retention_days = 7) {
  std::vector<std::string> texts;
  for (const Decision& decision : decide(snapshots, {retention_days}, kNow))
    texts.push_back((decision.keep ? "keep: " : "remove: ") + decision.reason);
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace litepull
