#include "client/prune.h"

#include <utility>

#include "client/snapshot_files.h"
#include "common/error.h"

namespace litepull {

PruneResult plan_prune(const Store& store, const Policy& policy, std::int64_t now_unix_s) {
  Listing listing = store.list();
  std::vector<SnapshotFacts> facts;
  for (const Snapshot& snapshot : listing.snapshots) {
    SnapshotFacts fact;
    fact.name = snapshot.name;
    fact.time = snapshot.time;
    // One that somebody took a file out of must not take the place of one that is whole.
    const bool gutted = snapshot.verified == Verified::kOk && !has_its_files(store, snapshot);
    fact.verified = gutted ? Verified::kFailed : snapshot.verified;
    fact.fully = snapshot.manifest && snapshot.manifest->verify == "full";
    fact.pinned = snapshot.manifest && snapshot.manifest->pinned;
    if (snapshot.manifest) fact.label = printable(snapshot.manifest->label);
    facts.push_back(std::move(fact));
  }
  PruneResult result;
  result.decisions = decide(facts, policy, now_unix_s);
  result.strangers = std::move(listing.strangers);
  return result;
}

PruneResult prune(const Store& store, const AppLock& lock, const Policy& policy, std::int64_t now_unix_s,
                  std::vector<std::string>& removed) {
  PruneResult result = plan_prune(store, policy, now_unix_s);
  for (const Decision& decision : result.decisions) {
    if (decision.keep) continue;
    store.remove_snapshot(lock, decision.name);
    removed.push_back(decision.name);
  }
  return result;
}

}  // namespace litepull
