#include "client/retention.h"

#include <tuple>
#include <utility>

namespace litepull {
namespace {

constexpr std::int64_t kDayS = 86'400;

bool is_newer(const SnapshotFacts& one, const SnapshotFacts* other) {
  return other == nullptr || std::tie(one.time.unix_s, one.name) > std::tie(other->time.unix_s, other->name);
}

// Neither is ever a snapshot from the future; null when there is none.
struct Newest {
  const SnapshotFacts* verified = nullptr;
  const SnapshotFacts* fully_verified = nullptr;
  const SnapshotFacts* of_all = nullptr;
};

Newest find_newest(std::span<const SnapshotFacts> snapshots, std::int64_t now_unix_s) {
  Newest newest;
  for (const SnapshotFacts& snapshot : snapshots) {
    if (snapshot.time.unix_s > now_unix_s) continue;
    if (is_newer(snapshot, newest.of_all)) newest.of_all = &snapshot;
    if (snapshot.verified != Verified::kOk) continue;
    if (is_newer(snapshot, newest.verified)) newest.verified = &snapshot;
    if (snapshot.fully && is_newer(snapshot, newest.fully_verified)) newest.fully_verified = &snapshot;
  }
  return newest;
}

std::string age_text(std::int64_t age_s) {
  const std::int64_t days = age_s / kDayS;
  if (days == 0) return "less than a day old";
  return std::to_string(days) + (days == 1 ? " day old" : " days old");
}

Decision by_age(const SnapshotFacts& snapshot, std::int64_t limit_days, std::int64_t age_s) {
  const std::int64_t full_days = age_s / kDayS;
  const std::string limit = std::to_string(limit_days);
  // Days are compared, not seconds: a huge limit would overflow.
  if (full_days < limit_days || (full_days == limit_days && age_s % kDayS == 0))
    return {snapshot.name, true, age_text(age_s) + ", kept for " + limit};
  const std::string just = full_days == limit_days && full_days > 0 ? "just over " : "";
  return {snapshot.name, false, just + age_text(age_s) + ", past " + limit};
}

Decision decide_one(const SnapshotFacts& snapshot, const Newest& newest, const Policy& policy,
                    std::int64_t now_unix_s) {
  auto keep = [&](std::string reason) { return Decision{snapshot.name, true, std::move(reason)}; };
  if (snapshot.time.unix_s > now_unix_s) return keep("from the future by this machine's clock");
  if (snapshot.pinned) return keep(snapshot.label.empty() ? "pinned" : "pinned: " + snapshot.label);
  if (&snapshot == newest.verified) return keep("newest verified snapshot");
  if (&snapshot == newest.fully_verified) return keep("newest fully verified snapshot");
  if (&snapshot == newest.of_all && newest.verified == nullptr)
    return keep("newest snapshot; none is verified");
  if (&snapshot == newest.of_all) return keep("newest snapshot");
  return by_age(snapshot, policy.retention_days, now_unix_s - snapshot.time.unix_s);
}

}  // namespace

std::vector<Decision> decide(std::span<const SnapshotFacts> snapshots, const Policy& policy,
                             std::int64_t now_unix_s) {
  const Newest newest = find_newest(snapshots, now_unix_s);
  std::vector<Decision> decisions;
  for (const SnapshotFacts& snapshot : snapshots)
    decisions.push_back(decide_one(snapshot, newest, policy, now_unix_s));
  return decisions;
}

}  // namespace litepull
