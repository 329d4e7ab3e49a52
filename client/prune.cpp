#include "client/prune.h"

#include <utility>

#include "client/origin.h"
#include "client/snapshot_files.h"
#include "common/error.h"

namespace litepull {
namespace {

// One for each snapshot, in its place; `own` are those of the others.
std::vector<Decision> with_foreign(const Listing& listing, const std::vector<Decision>& own,
                                   const Manifest::Server& here) {
  std::vector<Decision> all;
  auto next = own.begin();
  for (const Snapshot& snapshot : listing.snapshots)
    all.push_back(snapshot.foreign()
                      ? Decision{snapshot.name, true, origin_text(snapshot, here) + ", left alone"}
                      : *next++);
  return all;
}

}  // namespace

PruneResult plan_prune(const Store& store, const Config& config, std::int64_t now_unix_s) {
  Listing listing = list_snapshots(store, config);
  std::vector<SnapshotFacts> facts;
  for (const Snapshot& snapshot : listing.snapshots) {
    if (snapshot.foreign()) continue;
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
  result.decisions = with_foreign(listing, decide(facts, config.policy, now_unix_s), source_of(config));
  result.strangers = std::move(listing.strangers);
  return result;
}

PruneResult prune(const Store& store, const AppLock& lock, const Config& config, std::int64_t now_unix_s,
                  std::vector<std::string>& removed) {
  PruneResult result = plan_prune(store, config, now_unix_s);
  for (const Decision& decision : result.decisions) {
    if (decision.keep) continue;
    store.remove_snapshot(lock, decision.name);
    removed.push_back(decision.name);
  }
  return result;
}

}  // namespace litepull
