#include "client/prune.h"

#include <utility>

namespace litepull {

PruneResult prune(const Store& store, const AppLock& lock, int retention_days, std::int64_t now_unix_s,
                  bool dry_run) {
  Listing listing = store.list();
  std::vector<SnapshotFacts> facts;
  for (const Snapshot& snapshot : listing.snapshots)
    facts.push_back({snapshot.name, snapshot.time, snapshot.verified,
                     snapshot.manifest ? snapshot.manifest->label : "", false});
  PruneResult result;
  result.decisions = decide(facts, {retention_days}, now_unix_s);
  result.strangers = std::move(listing.strangers);
  for (const Decision& decision : result.decisions) {
    if (decision.keep || dry_run) continue;
    store.remove_snapshot(lock, decision.name);
    result.removed.push_back(decision.name);
  }
  return result;
}

}  // namespace litepull
