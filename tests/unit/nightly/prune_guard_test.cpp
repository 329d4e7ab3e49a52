// Simulates years of runs whose clocks jump, on this machine and on the server, and tests what must hold in
// all of them.
#include "client/nightly/prune_guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "client/base/clock.h"
#include "client/nightly/prune.h"
#include "client/store/select_snapshot.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::int64_t kHourS = 3600;
constexpr std::int64_t kDayS = 24 * kHourS;
constexpr std::int64_t kYearS = 365 * kDayS;
constexpr std::int64_t kNow = 1'795'309'200;  // 2026-11-22T020000+0100

// --- one rule at a time ----------------------------------------------------------------------------------

SnapshotFacts aged_days(std::int64_t days, Verified verified = Verified::kOk) {
  const SnapshotTime time{kNow - days * kDayS, 60};
  return {format_snapshot_name(time), time, verified, "", false};
}

std::vector<SnapshotFacts> nightly(std::int64_t newest_days, std::int64_t count) {
  std::vector<SnapshotFacts> snapshots;
  for (std::int64_t days = newest_days + count - 1; days >= newest_days; --days)
    snapshots.push_back(aged_days(days));
  return snapshots;
}

std::size_t removed(const Guarded& guarded) {
  return static_cast<std::size_t>(std::count_if(guarded.decisions.begin(), guarded.decisions.end(),
                                                [](const Decision& decision) { return !decision.keep; }));
}

Guarded guarded(const std::vector<SnapshotFacts>& snapshots, const TimeEvidence& evidence,
                bool attended = false) {
  return guard(snapshots, decide(snapshots, {7}, evidence.now_unix_s), evidence, attended);
}

TEST(PruneGuard, ANightAfterANightGoesOnWithoutAWord) {
  const Guarded result = guarded(nightly(0, 9), {.now_unix_s = kNow});
  EXPECT_EQ(removed(result), 1U);
  EXPECT_EQ(result.note, "");
}

TEST(PruneGuard, NoRunRemovesMoreThanHalfOfTheGoodOnesUnlessAPersonSaysSo) {
  const std::vector<SnapshotFacts> snapshots = nightly(0, 31);
  const Guarded result = guarded(snapshots, {.now_unix_s = kNow});
  EXPECT_EQ(removed(result), 15U);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_FALSE(result.decisions[i].keep) << "the oldest go first";
  EXPECT_NE(result.note.find("8 more"), std::string::npos) << result.note;
  EXPECT_NE(result.hint.find("litepull cleanup --yes"), std::string::npos);
  EXPECT_NE(result.decisions[15].reason.find("kept for now"), std::string::npos);
  EXPECT_EQ(removed(guarded(snapshots, {.now_unix_s = kNow}, true)), 23U);
}

TEST(PruneGuard, WhatDidNotPassItsCheckDoesNotCountAsGood) {
  std::vector<SnapshotFacts> snapshots{aged_days(20, Verified::kFailed), aged_days(19, Verified::kFailed),
                                       aged_days(10, Verified::kSkipped), aged_days(0)};
  EXPECT_EQ(removed(guarded(snapshots, {.now_unix_s = kNow})), 3U);
}

TEST(PruneGuard, AClockThatIsBehindRemovesNothingWhoeverAsks) {
  std::vector<SnapshotFacts> snapshots = nightly(-2, 40);
  for (const bool attended : {false, true}) {
    const Guarded result = guarded(snapshots, {.now_unix_s = kNow}, attended);
    EXPECT_EQ(removed(result), 0U);
    EXPECT_NE(result.note.find(snapshots.back().name + " is later"), std::string::npos) << result.note;
  }
  // Its manifest says that this snapshot's time was wrong.
  snapshots.back().time_in_doubt = true;
  EXPECT_GT(removed(guarded(snapshots, {.now_unix_s = kNow})), 0U);
}

TEST(PruneGuard, ARunThatWasLaterThanNowRemovesNothing) {
  const Guarded result = guarded(nightly(0, 9), {.now_unix_s = kNow, .last_run_unix_s = kNow + 2 * kDayS});
  EXPECT_EQ(removed(result), 0U);
  EXPECT_NE(result.note.find("the last run was at"), std::string::npos) << result.note;
}

TEST(PruneGuard, AFileSystemWithAnotherTimeIsBelievedUnlessTheServerAgreesWithUs) {
  TimeEvidence evidence{.now_unix_s = kNow, .file_system_unix_s = kNow - 30 * kDayS};
  EXPECT_EQ(removed(guarded(nightly(0, 9), evidence)), 0U);
  EXPECT_EQ(removed(guarded(nightly(0, 9), evidence, true)), 1U);
  evidence.server_agrees = true;
  EXPECT_EQ(removed(guarded(nightly(0, 9), evidence)), 1U);
}

TEST(PruneGuard, AfterAGapTheFirstRunRemovesNothingAndTheNextOneGoesOn) {
  std::vector<SnapshotFacts> snapshots = nightly(90, 8);
  const Guarded by_hand = guarded(snapshots, {.now_unix_s = kNow});
  EXPECT_EQ(removed(by_hand), 0U);
  EXPECT_NE(by_hand.note.find("no snapshot for 90 days"), std::string::npos) << by_hand.note;
  EXPECT_EQ(removed(guarded(snapshots, {.now_unix_s = kNow}, true)), 7U);

  snapshots.push_back(aged_days(0));
  const TimeEvidence first{.now_unix_s = kNow, .server_agrees = true, .own_snapshot = snapshots.back().name};
  EXPECT_EQ(removed(guarded(snapshots, first)), 0U);
  snapshots.push_back(aged_days(-1));
  const TimeEvidence next{
      .now_unix_s = kNow + kDayS, .server_agrees = true, .own_snapshot = snapshots.back().name};
  EXPECT_EQ(removed(guarded(snapshots, next)), 5U);
}

TEST(PruneGuard, ASnapshotWhoseTimeIsInDoubtClosesNoGap) {
  std::vector<SnapshotFacts> snapshots = nightly(90, 8);
  snapshots.push_back(aged_days(0));
  snapshots.back().time_in_doubt = true;
  EXPECT_EQ(removed(guarded(snapshots, {.now_unix_s = kNow})), 0U);
}

TEST(PruneGuard, WhereAllTimesAreInDoubtTheServersClockIsWrongAndTheyAreBelieved) {
  std::vector<SnapshotFacts> snapshots = nightly(90, 8);
  for (SnapshotFacts& snapshot : snapshots) snapshot.time_in_doubt = true;
  EXPECT_EQ(removed(guarded(snapshots, {.now_unix_s = kNow})), 0U);
  EXPECT_EQ(removed(guarded(nightly(0, 9), {.now_unix_s = kNow})), 1U);
}

TEST(PruneGuard, APauseOfAWeekendOrOfAWeeklyScheduleIsNoGap) {
  EXPECT_EQ(removed(guarded(nightly(3, 9), {.now_unix_s = kNow})), 4U);
  std::vector<SnapshotFacts> weekly;
  for (const std::int64_t days : {56, 49, 42, 35, 28}) weekly.push_back(aged_days(days));
  EXPECT_EQ(removed(guarded(weekly, {.now_unix_s = kNow})), 2U);
}

// --- years of jumps --------------------------------------------------------------------------------------

struct Totals {
  std::int64_t years = 0, backups = 0, cleanups = 0, jumps = 0, removed = 0, held_back = 0, words = 0,
               passed_over = 0, no_meaning = 0;
};

enum class Jumps { kNone, kHere, kAnywhere };

// An app's directory, its two machines, and the person who looks after them, for one year with one schedule.
class World {
 public:
  World(std::uint64_t seed, Jumps jumps, Totals& totals)
      : random_(seed), jumps_(jumps), totals_(totals), ssh_(jumps == Jumps::kHere || chance(2)) {
    policy_ = random_policy();
    const std::int64_t intervals[] = {6 * kHourS, kDayS, kDayS, kDayS, 7 * kDayS};
    interval_s_ = intervals[pick(0, 4)];
  }

  void live_a_year() {
    ++totals_.years;
    const std::int64_t end_s = true_s_ + kYearS;
    while (true_s_ < end_s) {
      pass_time();
      if (jumps_ != Jumps::kNone && chance(12)) jump(here_s_);
      if (jumps_ == Jumps::kAnywhere && chance(12)) jump(server_s_);
      back_up();
      if (chance(10)) restore();
      if (chance(6)) clean_up(false);
      if (chance(60) && std::abs(here_s_) < kHourS) clean_up(true);
      if (testing::Test::HasFatalFailure()) return;
      check_words();
    }
  }

  // Nights with correct clocks. After them, nothing is left that retention gives up.
  void settle() {
    here_s_ = server_s_ = 0;
    failing_ = false;
    for (int night = 0; night < 12; ++night) {
      true_s_ += interval_s_;
      back_up();
    }
  }

  std::size_t held_back() const { return held_back_; }

 private:
  bool chance(std::uint64_t one_in) { return random_() % one_in == 0; }
  std::int64_t pick(std::int64_t from, std::int64_t to) {
    return from + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(to - from + 1));
  }
  std::int64_t now() const { return true_s_ + here_s_; }
  bool clocks_apart() const { return std::abs(here_s_ - server_s_) > kClockToleranceS; }

  Policy random_policy() {
    auto count = [&] { return chance(2) ? pick(0, 5) : 0; };
    Policy policy{pick(0, 20), count(), count(), count(), count(), 0, pick(0, 5)};
    if (chance(3)) policy.retention_days.reset();
    return policy;
  }

  void pass_time() {
    true_s_ += interval_s_ + pick(0, interval_s_ / 4) - interval_s_ / 8;
    if (chance(90)) true_s_ += pick(1, 90) * kDayS;  // the laptop was off
  }

  // A clock jumps by seconds, hours, days or years, forwards or back, or becomes correct again.
  void jump(std::int64_t& offset_s) {
    ++totals_.jumps;
    const std::int64_t units[] = {1, kHourS, kDayS, kYearS};
    const std::int64_t largest[] = {100, 40, 60, 3};
    const auto unit = static_cast<std::size_t>(pick(0, 3));
    offset_s = chance(2) ? 0 : pick(1, largest[unit]) * units[unit] * (chance(2) ? 1 : -1);
  }

  Snapshot& take(const std::string& label, bool pinned) {
    Snapshot snapshot;
    std::int64_t unix_s = now();
    for (bool taken = true; taken;) {
      snapshot.time = {unix_s++, 60};
      snapshot.name = format_snapshot_name(snapshot.time);
      taken = number_.contains(snapshot.name);
    }
    snapshot.manifest.emplace();
    snapshot.manifest->order = next_order(listing_, snapshot.time.unix_s);
    snapshot.manifest->label = label;
    snapshot.manifest->kept = pinned;
    snapshot.manifest->verify = chance(5) ? "quick" : "full";
    snapshot.manifest->clock_difference_ms = (here_s_ - server_s_) * 1000;
    snapshot.verified = failing_ && chance(3) ? static_cast<Verified>(pick(1, 3)) : Verified::kOk;
    number_[snapshot.name] = ++taken_;
    listing_.snapshots.push_back(std::move(snapshot));
    return listing_.snapshots.back();
  }

  void back_up() {
    ++totals_.backups;
    last_run_s_ = now();
    if (failing_ && chance(12)) return;
    const Snapshot& own = take(chance(8) ? "pre-deploy 3f2a1c0" : "", chance(80));
    const std::string name = own.name;
    const bool good = own.verified == Verified::kOk;
    sort_as_taken(listing_.snapshots);
    if (!good || clocks_apart()) return;
    prune({.now_unix_s = now(), .file_system_unix_s = now(), .server_agrees = ssh_, .own_snapshot = name},
          false);
  }

  void restore() {
    take(kSafetyLabel, true).manifest->before_restore.emplace();
    sort_as_taken(listing_.snapshots);
  }

  void clean_up(bool attended) {
    ++totals_.cleanups;
    prune({.now_unix_s = now(), .file_system_unix_s = now(), .last_run_unix_s = last_run_s_}, attended);
  }

  void prune(const TimeEvidence& evidence, bool attended) {
    std::vector<SnapshotFacts> facts;
    for (const Snapshot& snapshot : listing_.snapshots) facts.push_back(facts_of(snapshot));
    const std::vector<Decision> wanted = decide(facts, policy_, now());
    const Guarded result = guard(facts, wanted, evidence, attended);
    const std::set<std::string> gone = names_removed(result.decisions);
    const std::set<std::string> unwanted = names_removed(wanted);
    held_back_ = unwanted.size() - gone.size();
    ASSERT_TRUE(std::includes(unwanted.begin(), unwanted.end(), gone.begin(), gone.end()));
    ASSERT_EQ(result.note.empty(), held_back_ == 0) << result.note;
    check_removal(gone, evidence, attended);
    std::erase_if(listing_.snapshots, [&](const Snapshot& one) { return gone.contains(one.name); });
    totals_.removed += static_cast<std::int64_t>(gone.size());
    totals_.held_back += static_cast<std::int64_t>(held_back_);
  }

  static std::set<std::string> names_removed(const std::vector<Decision>& decisions) {
    std::set<std::string> names;
    for (const Decision& decision : decisions)
      if (!decision.keep) names.insert(decision.name);
    return names;
  }

  void check_removal(const std::set<std::string>& gone, const TimeEvidence& evidence, bool attended) const {
    std::size_t good = 0, good_gone = 0;
    const Snapshot* last_good = nullptr;
    std::vector<std::int64_t> believed;
    for (const Snapshot& one : listing_.snapshots) {
      const bool in_doubt = *one.manifest->clock_difference_ms > kDayS * 1000;
      if (!in_doubt && one.name != evidence.own_snapshot) believed.push_back(one.time.unix_s);
      ASSERT_TRUE(gone.empty() || in_doubt || one.time.unix_s <= now() + kDayS)
          << "removed though " << one.name << " is later than now";
      ASSERT_FALSE(one.manifest->kept && gone.contains(one.name));
      if (one.verified != Verified::kOk) continue;
      ++good;
      good_gone += gone.count(one.name);
      if (last_good == nullptr || number_.at(one.name) > number_.at(last_good->name)) last_good = &one;
    }
    ASSERT_TRUE(last_good == nullptr || !gone.contains(last_good->name)) << "the last good one";
    if (attended) return;
    ASSERT_LE(2 * good_gone, good) << "more than half";
    check_gap(gone, believed);
  }

  // A clock far ahead of every time that is known to be right must remove nothing.
  void check_gap(const std::set<std::string>& gone, std::vector<std::int64_t> believed) const {
    std::erase_if(believed, [&](std::int64_t unix_s) { return unix_s > now() + kDayS; });
    if (believed.empty()) return;
    std::sort(believed.begin(), believed.end());
    std::int64_t longest_s = kDayS;
    for (std::size_t i = believed.size(); i > 1 && believed.size() - i < 10; --i)
      longest_s = std::max(longest_s, believed[i - 1] - believed[i - 2]);
    ASSERT_TRUE(gone.empty() || now() - believed.back() <= 8 * longest_s) << "removed after a gap";
    // If the server's clock was always right, this machine's clock alone must cost nothing.
    ASSERT_TRUE(gone.empty() || jumps_ != Jumps::kHere || here_s_ <= 8 * longest_s)
        << "a clock that is ahead";
  }

  // A person calls that snapshot latest which was taken last, among those that are no safety snapshots and
  // not from the future. If a snapshot was taken after it, a message says so.
  void check_words() {
    ++totals_.words;
    std::vector<const Snapshot*> meant;
    const Snapshot* newest = nullptr;
    for (const Snapshot& one : listing_.snapshots) {
      if (one.manifest->label == kSafetyLabel) continue;
      if (newest == nullptr || number_.at(one.name) > number_.at(newest->name)) newest = &one;
      if (one.time.unix_s <= now() + kDayS) meant.push_back(&one);
    }
    std::sort(meant.begin(), meant.end(), [&](const Snapshot* a, const Snapshot* b) {
      return number_.at(a->name) > number_.at(b->name);
    });
    for (std::size_t i = 0; i < meant.size(); i += 1 + i * 4) {
      ASSERT_EQ(&select_snapshot(listing_, std::to_string(i + 1), now()), meant[i]);
      ASSERT_EQ(number_of(listing_, *meant[i], now()), i + 1);
    }
    const auto good = std::find_if(meant.begin(), meant.end(),
                                   [](const Snapshot* one) { return one->verified == Verified::kOk; });
    if (good != meant.end()) {
      ASSERT_EQ(&select_snapshot(listing_, "latest-verified", now()), *good);
    }
    if (newest == nullptr) return;
    if (meant.empty()) {
      ++totals_.no_meaning;
      ASSERT_THROW(select_snapshot(listing_, "latest", now()), Error);
      return;
    }
    const Snapshot& latest = select_snapshot(listing_, "latest", now());
    ASSERT_EQ(&latest, meant.front());
    ASSERT_EQ(&latest == newest, newer_from_future(listing_, latest, "latest", now()).empty());
    totals_.passed_over += &latest == newest ? 0 : 1;
  }

  std::mt19937_64 random_;
  const Jumps jumps_;
  Totals& totals_;
  const bool ssh_;
  Policy policy_;
  std::int64_t interval_s_ = kDayS;
  bool failing_ = true;
  std::int64_t true_s_ = kNow, here_s_ = 0, server_s_ = 0;
  std::optional<std::int64_t> last_run_s_;
  Listing listing_;
  std::map<std::string, int> number_;  // in the order in which they were taken, whatever the clock said
  int taken_ = 0;
  std::size_t held_back_ = 0;
};

class Years : public testing::TestWithParam<Jumps> {};

TEST_P(Years, KeepWhatMustBeKeptAndMeanWhatAPersonWould) {
  const std::uint64_t years = std::getenv("LITEPULL_LONG") != nullptr ? 400 : 12;
  Totals totals;
  for (std::uint64_t seed = 1; seed <= years; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed, GetParam(), totals);
    world.live_a_year();
    if (HasFatalFailure()) return;
    if (GetParam() == Jumps::kAnywhere) continue;  // a time that both clocks agreed on may still be to come
    world.settle();
    ASSERT_EQ(world.held_back(), 0U) << "retention never gets there";
  }
  EXPECT_GT(totals.removed, 0);
  std::printf(
      "  %lld years: %lld backups, %lld cleanups, %lld jumps of a clock; %lld snapshots removed, %lld "
      "held back;\n  words asked %lld times, %lld with a newer one from the future, %lld without a "
      "meaning\n",
      static_cast<long long>(totals.years), static_cast<long long>(totals.backups),
      static_cast<long long>(totals.cleanups), static_cast<long long>(totals.jumps),
      static_cast<long long>(totals.removed), static_cast<long long>(totals.held_back),
      static_cast<long long>(totals.words), static_cast<long long>(totals.passed_over),
      static_cast<long long>(totals.no_meaning));
}

std::string jumps_text(const testing::TestParamInfo<Jumps>& jumps) {
  return jumps.param == Jumps::kNone ? "None" : jumps.param == Jumps::kHere ? "Here" : "Anywhere";
}
INSTANTIATE_TEST_SUITE_P(OfJumps, Years, testing::Values(Jumps::kNone, Jumps::kHere, Jumps::kAnywhere),
                         jumps_text);

}  // namespace
}  // namespace litepull
