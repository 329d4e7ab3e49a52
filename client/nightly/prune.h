// Applies retention to a store. `litepull cleanup` does it, and so does a good backup at its end.
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
  std::vector<Stranger> strangers;  // directories that were left alone, and why
  std::string note;                 // what the guard held back; empty: nothing
  std::string hint;                 // what to do about it
};

// What the snapshot's name and manifest say. Whether its files are there is checked by plan_prune.
SnapshotFacts facts_of(const Snapshot& snapshot);

// What is known about the time without a server. Asks the file system by touching the app's lock file; if
// there is none, the file system's time stays unknown.
TimeEvidence evidence_here(const Store& store, std::int64_t now_unix_s);

// What a run would remove and keep by the configuration's policy, as far as client/nightly/prune_guard.h
// allows it. `attended`: a person asked for all of it at once. Foreign snapshots are kept, and do not count
// for any rule.
PruneResult plan_prune(const Store& store, const Config& config, const TimeEvidence& evidence, bool attended);

// Removes what the plan does not keep. `removed` gets each name as the snapshot goes, so it is right even if
// a later removal throws.
PruneResult prune(const Store& store, const AppLock& lock, const Config& config, const TimeEvidence& evidence,
                  bool attended, std::vector<std::string>& removed);

}  // namespace litepull
