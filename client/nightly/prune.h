// Retention applied to a store: what `litepull cleanup` does, and a good backup at its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/nightly/prune_guard.h"
#include "client/store/retention.h"
#include "client/store/store.h"

namespace litepull {

struct PruneResult {
  std::vector<Decision> decisions;  // one for each snapshot, in the order of Store::list
  std::vector<Stranger> strangers;  // what was not looked at, and why
  std::string note;                 // what the guard held back, and what to do; empty when nothing
  std::string hint;
};

// As the snapshot says of itself; that its files are there is for plan_prune to see.
SnapshotFacts facts_of(const Snapshot& snapshot);

// What is known of the time without asking a server. The file system is asked by touching the app's lock
// file, which must be there to count.
TimeEvidence evidence_here(const Store& store, std::int64_t now_unix_s);

// What a run would remove and what it would keep by the configuration's policy, as
// client/nightly/prune_guard.h allows it. A foreign snapshot is kept, and takes no other's place: no rule
// sees it.
PruneResult plan_prune(const Store& store, const Config& config, const TimeEvidence& evidence, bool attended);

// Removes what the plan does not keep; `removed` gets the names as they go, also when a later one throws.
PruneResult prune(const Store& store, const AppLock& lock, const Config& config, const TimeEvidence& evidence,
                  bool attended, std::vector<std::string>& removed);

}  // namespace litepull
