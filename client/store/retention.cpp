#include "client/store/retention.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>
#include <utility>

#include "client/base/clock.h"

namespace litepull {
namespace {

constexpr std::int64_t kDayS = 86'400;

bool is_newer_of_two(const SnapshotFacts* one, const SnapshotFacts* other) {
  return std::tie(one->time.unix_s, one->name) > std::tie(other->time.unix_s, other->name);
}

bool is_taken_later(const SnapshotFacts& one, const SnapshotFacts* other) {
  return other == nullptr || std::tie(one.order, one.time.unix_s, one.name) >
                                 std::tie(other->order, other->time.unix_s, other->name);
}

// Null when there is none. Never a snapshot from the future.
struct Newest {
  const SnapshotFacts* verified = nullptr;
  const SnapshotFacts* fully_verified = nullptr;
  const SnapshotFacts* of_all = nullptr;
};

Newest find_newest(std::span<const SnapshotFacts> snapshots, std::int64_t now_unix_s) {
  Newest newest;
  for (const SnapshotFacts& snapshot : snapshots) {
    if (is_from_future(snapshot.time.unix_s, now_unix_s)) continue;
    if (is_taken_later(snapshot, newest.of_all)) newest.of_all = &snapshot;
    if (snapshot.verified != Verified::kOk) continue;
    if (is_taken_later(snapshot, newest.verified)) newest.verified = &snapshot;
    if (snapshot.fully && is_taken_later(snapshot, newest.fully_verified)) newest.fully_verified = &snapshot;
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

// --- rules that count ------------------------------------------------------------------------------------

using Reasons = std::map<const SnapshotFacts*, std::string>;

struct Rule {
  const char* key;   // as in the configuration
  const char* what;  // "daily snapshot"
  std::int64_t count;
  std::int64_t (*period)(const SnapshotTime& time);  // greater for a later one
};

std::chrono::year_month_day date_of(std::int64_t day) {
  return std::chrono::sys_days(std::chrono::days(day));
}

std::int64_t instant(const SnapshotTime& time) {
  return time.unix_s;
}

// Days since 1970-01-01, by the local time at which the snapshot was taken.
std::int64_t local_day(const SnapshotTime& time) {
  const std::chrono::seconds local(time.unix_s + std::int64_t{time.offset_min} * 60);
  return std::chrono::floor<std::chrono::days>(local).count();
}

std::int64_t local_week(const SnapshotTime& time) {
  constexpr std::int64_t kMondayBeforeEpoch = 3;  // 1970-01-01 was a Thursday
  return std::chrono::floor<std::chrono::weeks>(std::chrono::days(local_day(time) + kMondayBeforeEpoch))
      .count();
}

std::int64_t local_year(const SnapshotTime& time) {
  return static_cast<int>(date_of(local_day(time)).year());
}

std::int64_t local_month(const SnapshotTime& time) {
  return local_year(time) * 12 + static_cast<unsigned>(date_of(local_day(time)).month());
}

std::vector<Rule> rules_of(const Policy& policy) {
  std::vector<Rule> rules{{"KEEP_LAST", "last snapshot", policy.keep_last, instant},
                          {"KEEP_DAILY", "daily snapshot", policy.keep_daily, local_day},
                          {"KEEP_WEEKLY", "weekly snapshot", policy.keep_weekly, local_week},
                          {"KEEP_MONTHLY", "monthly snapshot", policy.keep_monthly, local_month},
                          {"KEEP_YEARLY", "yearly snapshot", policy.keep_yearly, local_year}};
  std::erase_if(rules, [](const Rule& rule) { return rule.count == 0; });
  return rules;
}

// How well a snapshot represents its period; a greater rank is better.
int rank(const SnapshotFacts& snapshot) {
  switch (snapshot.verified) {
    case Verified::kOk:
      return 2;
    case Verified::kPending:
    case Verified::kSkipped:
      return 1;
    case Verified::kFailed:
      break;
  }
  return 0;
}

void add_reason(Reasons& reasons, const SnapshotFacts* snapshot, const std::string& reason) {
  std::string& text = reasons[snapshot];
  text += (text.empty() ? "" : ", ") + reason;
}

using NewestFirst = std::vector<const SnapshotFacts*>;

void apply(const Rule& rule, const NewestFirst& snapshots, Reasons& reasons) {
  if (snapshots.empty()) return;
  // Periods are ordered by their keys, even if days overlap because the time zone changed.
  std::map<std::int64_t, const SnapshotFacts*, std::greater<>> best;
  for (const SnapshotFacts* snapshot : snapshots) {
    const SnapshotFacts*& standing = best[rule.period(snapshot->time)];
    if (standing == nullptr || rank(*snapshot) > rank(*standing)) standing = snapshot;
  }
  std::int64_t left = rule.count;
  bool oldest_is_kept = false;
  for (const auto& [period, snapshot] : best) {
    if (left == 0) return;
    add_reason(reasons, snapshot, rule.what);
    oldest_is_kept = oldest_is_kept || snapshot == snapshots.back();
    if (rank(*snapshot) > 0) --left;
  }
  if (left > 0 && !oldest_is_kept) add_reason(reasons, snapshots.back(), std::string("oldest ") + rule.what);
}

NewestFirst choose(std::span<const SnapshotFacts> snapshots, bool pre_deploy, std::int64_t now_unix_s) {
  NewestFirst chosen;
  for (const SnapshotFacts& snapshot : snapshots)
    if (!is_from_future(snapshot.time.unix_s, now_unix_s) && is_pre_deploy(snapshot.label) == pre_deploy)
      chosen.push_back(&snapshot);
  std::sort(chosen.begin(), chosen.end(), is_newer_of_two);
  return chosen;
}

Reasons apply_rules(std::span<const SnapshotFacts> snapshots, const Policy& policy, std::int64_t now_unix_s) {
  Reasons reasons;
  const NewestFirst others = choose(snapshots, false, now_unix_s);
  for (const Rule& rule : rules_of(policy)) apply(rule, others, reasons);
  if (policy.keep_pre_deploy > 0)
    apply({"KEEP_PRE_DEPLOY", "pre-deploy snapshot", policy.keep_pre_deploy, instant},
          choose(snapshots, true, now_unix_s), reasons);
  return reasons;
}

// --- one snapshot ----------------------------------------------------------------------------------------

Decision by_rules(const SnapshotFacts& snapshot, const Policy& policy, std::int64_t age_s) {
  if (is_pre_deploy(snapshot.label))
    return {snapshot.name, false,
            "not one of the last " + std::to_string(policy.keep_pre_deploy) + " pre-deploy snapshots"};
  std::string keys;
  for (const Rule& rule : rules_of(policy))
    keys += (keys.empty() ? "" : ", ") + std::string(rule.key) + "=" + std::to_string(rule.count);
  if (!policy.retention_days) return {snapshot.name, false, age_text(age_s) + ", not kept by " + keys};
  Decision decision = by_age(snapshot, *policy.retention_days, age_s);
  if (!decision.keep && !keys.empty()) decision.reason += ", not kept by " + keys;
  return decision;
}

Decision decide_one(const SnapshotFacts& snapshot, const Newest& newest, const Reasons& reasons,
                    const Policy& policy, std::int64_t now_unix_s) {
  auto keep = [&](std::string reason) { return Decision{snapshot.name, true, std::move(reason)}; };
  if (is_from_future(snapshot.time.unix_s, now_unix_s))
    return keep("from the future by this machine's clock");
  if (snapshot.kept) return keep(snapshot.label.empty() ? "pinned" : "pinned: " + snapshot.label);
  if (&snapshot == newest.verified) return keep("newest verified snapshot");
  if (&snapshot == newest.fully_verified) return keep("newest fully verified snapshot");
  if (&snapshot == newest.of_all && newest.verified == nullptr)
    return keep("newest snapshot; none is verified");
  if (&snapshot == newest.of_all) return keep("newest snapshot");
  if (const auto found = reasons.find(&snapshot); found != reasons.end()) return keep(found->second);
  return by_rules(snapshot, policy, std::max<std::int64_t>(now_unix_s - snapshot.time.unix_s, 0));
}

}  // namespace

bool is_pre_deploy(const std::string& label) {
  return label == "pre-deploy" || label.starts_with("pre-deploy ");
}

std::vector<Decision> decide(std::span<const SnapshotFacts> snapshots, const Policy& policy,
                             std::int64_t now_unix_s) {
  const Newest newest = find_newest(snapshots, now_unix_s);
  const Reasons reasons = apply_rules(snapshots, policy, now_unix_s);
  std::vector<Decision> decisions;
  for (const SnapshotFacts& snapshot : snapshots)
    decisions.push_back(decide_one(snapshot, newest, reasons, policy, now_unix_s));
  return decisions;
}

}  // namespace litepull
