#include "client/nightly/prune.h"

#include <utility>

#include "client/base/clock.h"
#include "client/config/origin.h"
#include "client/nightly/run_record.h"
#include "client/store/snapshot_files.h"
#include "common/error.h"

namespace litepull {
namespace {

// A decision for each snapshot of the listing. `own` has those for the snapshots that are not foreign, in
// order.
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

std::optional<std::int64_t> last_run_unix_s(const Store& store) {
  const auto record = store.exists() ? read_run_record(store) : std::nullopt;
  if (!record) return std::nullopt;
  const auto unix_ms = parse_rfc3339_utc(record->ended() ? record->ended_at : record->started_at);
  return unix_ms ? std::optional(*unix_ms / 1000) : std::nullopt;
}

// A snapshot with a file missing must not take the place of a whole one.
bool is_gutted(const Store& store, const Snapshot& snapshot) {
  return snapshot.verified == Verified::kOk && !has_its_files(store, snapshot);
}

}  // namespace

SnapshotFacts facts_of(const Snapshot& snapshot) {
  SnapshotFacts facts;
  facts.name = snapshot.name;
  facts.time = snapshot.time;
  facts.order = snapshot.order();
  facts.verified = snapshot.verified;
  if (!snapshot.manifest) return facts;
  const Manifest& manifest = *snapshot.manifest;
  facts.fully = manifest.verify == "full";
  facts.kept = manifest.kept;
  facts.label = printable(manifest.label);
  const std::int64_t difference_ms = manifest.clock_difference_ms.value_or(0);
  facts.time_in_doubt = difference_ms / 1000 > kClockToleranceS;
  return facts;
}

TimeEvidence evidence_here(const Store& store, std::int64_t now_unix_s) {
  TimeEvidence evidence;
  evidence.now_unix_s = now_unix_s;
  evidence.last_run_unix_s = last_run_unix_s(store);
  evidence.file_system_unix_s = store.file_system_time();
  return evidence;
}

PruneResult plan_prune(const Store& store, const Config& config, const TimeEvidence& evidence,
                       bool attended) {
  Listing listing = list_snapshots(store, config);
  std::vector<SnapshotFacts> facts;
  for (const Snapshot& snapshot : listing.snapshots) {
    if (snapshot.foreign()) continue;
    facts.push_back(facts_of(snapshot));
    if (is_gutted(store, snapshot)) facts.back().verified = Verified::kFailed;
  }
  Guarded guarded = guard(facts, decide(facts, config.policy, evidence.now_unix_s), evidence, attended);
  return {with_foreign(listing, guarded.decisions, source_of(config)), std::move(listing.strangers),
          std::move(guarded.note), std::move(guarded.hint)};
}

PruneResult prune(const Store& store, const AppLock& lock, const Config& config, const TimeEvidence& evidence,
                  bool attended, std::vector<std::string>& removed) {
  PruneResult result = plan_prune(store, config, evidence, attended);
  for (const Decision& decision : result.decisions) {
    if (decision.keep) continue;
    store.remove_snapshot(lock, decision.name);
    removed.push_back(decision.name);
  }
  return result;
}

}  // namespace litepull
