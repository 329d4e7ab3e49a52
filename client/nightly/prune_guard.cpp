#include "client/nightly/prune_guard.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "client/base/clock.h"

namespace litepull {
namespace {

constexpr std::int64_t kDayS = 24 * 3600;
constexpr std::int64_t kShortGapS = 3 * kDayS;
constexpr std::int64_t kUsualIntervals = 7;
constexpr std::size_t kIntervalsLookedAt = 10;

struct Doubt {
  std::string why;
  std::string hint;
  bool person_may_go_on = true;
};

std::string clock_text(std::int64_t unix_s) {
  return format_snapshot_name(local_snapshot_time(unix_s));
}

std::string days_text(std::int64_t seconds) {
  const std::int64_t days = seconds / kDayS;
  return std::to_string(days) + (days == 1 ? " day" : " days");
}

// The snapshots whose time can be believed, without the one that this run has made.
std::vector<const SnapshotFacts*> believed(std::span<const SnapshotFacts> snapshots,
                                           const TimeEvidence& evidence) {
  std::vector<const SnapshotFacts*> all, sure;
  for (const SnapshotFacts& snapshot : snapshots) {
    if (snapshot.name == evidence.own_snapshot) continue;
    all.push_back(&snapshot);
    if (!snapshot.time_in_doubt) sure.push_back(&snapshot);
  }
  return sure.empty() ? all : sure;
}

std::optional<Doubt> behind_a_snapshot(std::span<const SnapshotFacts> snapshots,
                                       const TimeEvidence& evidence) {
  const SnapshotFacts* newest = nullptr;
  for (const SnapshotFacts* snapshot : believed(snapshots, evidence))
    if (newest == nullptr || snapshot->time.unix_s > newest->time.unix_s) newest = snapshot;
  if (newest == nullptr || !is_from_future(newest->time.unix_s, evidence.now_unix_s)) return std::nullopt;
  return Doubt{
      "this machine's clock says " + clock_text(evidence.now_unix_s) + ", and " + newest->name + " is later",
      "set the clock; if it is right, move that snapshot out of the app's directory", false};
}

std::optional<Doubt> behind_the_last_run(const TimeEvidence& evidence) {
  if (!evidence.last_run_unix_s || !is_from_future(*evidence.last_run_unix_s, evidence.now_unix_s))
    return std::nullopt;
  return Doubt{"this machine's clock says " + clock_text(evidence.now_unix_s) + ", and the last run was at " +
                   clock_text(*evidence.last_run_unix_s),
               "set the clock; if it is right, the next backup replaces the record of that run", false};
}

std::optional<Doubt> apart_from_file_system(const TimeEvidence& evidence) {
  if (evidence.server_agrees || !evidence.file_system_unix_s ||
      std::abs(*evidence.file_system_unix_s - evidence.now_unix_s) <= kClockToleranceS)
    return std::nullopt;
  return Doubt{"this machine's clock says " + clock_text(evidence.now_unix_s) + ", and new files are dated " +
                   clock_text(*evidence.file_system_unix_s),
               "set the clock that is wrong; if this machine's is right: litepull cleanup --yes CONFIG"};
}

// Times of the snapshots from before this run, oldest first.
std::vector<std::int64_t> earlier_times(std::span<const SnapshotFacts> snapshots,
                                        const TimeEvidence& evidence) {
  std::vector<std::int64_t> times;
  for (const SnapshotFacts* snapshot : believed(snapshots, evidence))
    if (!is_from_future(snapshot->time.unix_s, evidence.now_unix_s)) times.push_back(snapshot->time.unix_s);
  std::sort(times.begin(), times.end());
  return times;
}

std::int64_t usual_interval(const std::vector<std::int64_t>& times) {
  std::vector<std::int64_t> intervals;
  for (std::size_t i = times.size(); i > 1 && intervals.size() < kIntervalsLookedAt; --i)
    intervals.push_back(times[i - 1] - times[i - 2]);
  if (intervals.empty()) return kDayS;
  const auto middle = intervals.begin() + static_cast<std::ptrdiff_t>(intervals.size() / 2);
  std::nth_element(intervals.begin(), middle, intervals.end());
  return *middle;
}

std::optional<Doubt> after_a_gap(std::span<const SnapshotFacts> snapshots, const TimeEvidence& evidence) {
  const std::vector<std::int64_t> times = earlier_times(snapshots, evidence);
  if (times.empty()) return std::nullopt;
  const std::int64_t gap_s = evidence.now_unix_s - times.back();
  if (gap_s <= kShortGapS || gap_s / kUsualIntervals <= usual_interval(times)) return std::nullopt;
  return Doubt{"by this machine's clock there was no snapshot for " + days_text(gap_s),
               "if that is right, the run after the next good backup removes again; to remove now: "
               "litepull cleanup --yes CONFIG"};
}

std::optional<Doubt> doubt_of(std::span<const SnapshotFacts> snapshots, const TimeEvidence& evidence) {
  if (auto doubt = behind_a_snapshot(snapshots, evidence)) return doubt;
  if (auto doubt = behind_the_last_run(evidence)) return doubt;
  if (auto doubt = apart_from_file_system(evidence)) return doubt;
  return after_a_gap(snapshots, evidence);
}

bool is_good(const SnapshotFacts& snapshot) {
  return snapshot.verified == Verified::kOk;
}

bool is_unproven(const SnapshotFacts& snapshot) {
  return snapshot.verified == Verified::kPending || snapshot.verified == Verified::kSkipped;
}

void keep_for_now(Decision& decision, const std::string& why) {
  decision.keep = true;
  decision.reason += "; kept for now: " + why;
}

// Gives up the oldest `most` of a kind, and keeps the others for now. Returns how many it kept.
template <typename Kind>
std::size_t keep_all_but(std::size_t most, std::span<const SnapshotFacts> snapshots,
                         std::vector<Decision>& decisions, Kind is_of_kind) {
  std::vector<std::size_t> given_up;
  for (std::size_t i = 0; i < snapshots.size(); ++i)
    if (!decisions[i].keep && is_of_kind(snapshots[i])) given_up.push_back(i);
  std::sort(given_up.begin(), given_up.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(snapshots[a].time.unix_s, snapshots[a].name) <
           std::pair(snapshots[b].time.unix_s, snapshots[b].name);
  });
  for (std::size_t i = most; i < given_up.size(); ++i)
    keep_for_now(decisions[given_up[i]], "no run removes more than half");
  return given_up.size() - std::min(most, given_up.size());
}

std::size_t count_removed(const std::vector<Decision>& decisions) {
  return static_cast<std::size_t>(std::count_if(decisions.begin(), decisions.end(),
                                                [](const Decision& decision) { return !decision.keep; }));
}

void remove_half_at_most(std::span<const SnapshotFacts> snapshots, Guarded& guarded) {
  const auto count = [&](auto kind) {
    return static_cast<std::size_t>(std::count_if(snapshots.begin(), snapshots.end(), kind));
  };
  const std::size_t left =
      keep_all_but(count(is_good) / 2, snapshots, guarded.decisions, is_good) +
      keep_all_but((count(is_unproven) + 1) / 2, snapshots, guarded.decisions, is_unproven);
  if (left == 0) return;
  guarded.note = std::to_string(left) + " more that retention does not keep " + (left == 1 ? "is" : "are") +
                 " left for later runs: none removes more than half of the good snapshots";
  guarded.hint = "to remove all at once: litepull cleanup --yes CONFIG";
}

}  // namespace

Guarded guard(std::span<const SnapshotFacts> snapshots, std::vector<Decision> decisions,
              const TimeEvidence& evidence, bool attended) {
  Guarded guarded{std::move(decisions), "", ""};
  if (count_removed(guarded.decisions) == 0) return guarded;
  const std::optional<Doubt> doubt = doubt_of(snapshots, evidence);
  if (doubt && !(attended && doubt->person_may_go_on)) {
    for (Decision& decision : guarded.decisions)
      if (!decision.keep) keep_for_now(decision, "the time is in doubt");
    guarded.note = "nothing was removed: " + doubt->why;
    guarded.hint = doubt->hint;
  } else if (!attended) {
    remove_half_at_most(snapshots, guarded);
  }
  return guarded;
}

}  // namespace litepull
