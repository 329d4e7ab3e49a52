#include "client/store/retention.h"

#include <gtest/gtest.h>

#include "tests/unit/store/retention_fixture.h"

namespace litepull {
namespace {

TEST(Retention, NothingIsDecidedAboutNothing) {
  EXPECT_TRUE(decide({}, {7}, kNow).empty());
}

TEST(Retention, EachDecisionNamesItsReason) {
  const std::vector<SnapshotFacts> snapshots{aged(-kDayS - 1),    aged(0),         aged(kHourS),
                                             aged(kDayS),         aged(3 * kDayS), aged(7 * kDayS),
                                             aged(7 * kDayS + 1), aged(9 * kDayS)};
  EXPECT_EQ(reasons(snapshots),
            (Texts{"keep: from the future by this machine's clock", "keep: newest verified snapshot",
                   "keep: less than a day old, kept for 7", "keep: 1 day old, kept for 7",
                   "keep: 3 days old, kept for 7", "keep: 7 days old, kept for 7",
                   "remove: just over 7 days old, past 7", "remove: 9 days old, past 7"}));
}

TEST(Retention, TheNewestVerifiedSnapshotStaysHoweverOld) {
  EXPECT_EQ(reasons({aged(400 * kDayS), aged(300 * kDayS), aged(20 * kDayS, Verified::kFailed),
                     aged(10 * kDayS, Verified::kPending)}),
            (Texts{"remove: 400 days old, past 7", "keep: newest verified snapshot",
                   "remove: 20 days old, past 7", "keep: newest snapshot"}));
}

TEST(Retention, WhenNoneIsVerifiedTheNewestStays) {
  EXPECT_EQ(reasons({aged(400 * kDayS, Verified::kSkipped), aged(399 * kDayS, Verified::kFailed)}),
            (Texts{"remove: 400 days old, past 7", "keep: newest snapshot; none is verified"}));
}

TEST(Retention, OnlyOkCountsAsVerified) {
  for (const Verified verified : {Verified::kFailed, Verified::kSkipped, Verified::kPending})
    EXPECT_EQ(reasons({aged(300 * kDayS), aged(kDayS, verified)}).front(), "keep: newest verified snapshot");
}

TEST(Retention, PinnedSnapshotsStay) {
  SnapshotFacts pinned = aged(90 * kDayS), labelled = aged(80 * kDayS), label_only = aged(70 * kDayS);
  pinned.kept = labelled.kept = true;
  labelled.label = label_only.label = "before deploy";
  EXPECT_EQ(reasons({pinned, labelled, label_only, aged(0)}),
            (Texts{"keep: pinned", "keep: pinned: before deploy", "remove: 70 days old, past 7",
                   "keep: newest verified snapshot"}));
}

TEST(Retention, AClockThatWasSetBackALittleMakesNoSnapshotOfTheFuture) {
  EXPECT_EQ(reasons({aged(40 * kDayS), aged(-kDayS)}, 0),
            (Texts{"remove: 40 days old, past 0", "keep: newest verified snapshot"}));
}

TEST(Retention, TheNewestIsTheOneThatWasTakenLast) {
  SnapshotFacts ahead = aged(kHourS), last = aged(2 * kHourS);
  last.order = 1;
  EXPECT_EQ(reasons({ahead, last}, 0),
            (Texts{"remove: less than a day old, past 0", "keep: newest verified snapshot"}));
}

TEST(Retention, ASnapshotFromTheFutureNeverCostsTheNewestRealOne) {
  EXPECT_EQ(reasons({aged(60 * kDayS), aged(40 * kDayS), aged(-300 * kDayS)}),
            (Texts{"remove: 60 days old, past 7", "keep: newest verified snapshot",
                   "keep: from the future by this machine's clock"}));
}

TEST(Retention, AClockThatJumpsBackRemovesNothing) {
  std::vector<SnapshotFacts> snapshots;
  for (int day = 0; day < 30; ++day) snapshots.push_back(aged(day * kDayS));
  for (const Decision& decision : decide(snapshots, {7}, 0)) EXPECT_TRUE(decision.keep) << decision.reason;
}

TEST(Retention, AHugeLimitKeepsEverything) {
  for (const std::int64_t days : {std::int64_t{10'000'000}, std::numeric_limits<std::int64_t>::max()})
    EXPECT_EQ(reasons({aged(9000 * kDayS), aged(0)}, days).front(),
              "keep: 9000 days old, kept for " + std::to_string(days));
}

TEST(Retention, AZeroLimitStillKeepsTheNewestVerified) {
  EXPECT_EQ(reasons({aged(2 * kHourS), aged(kHourS), aged(1, Verified::kFailed)}, 0),
            (Texts{"remove: less than a day old, past 0", "keep: newest verified snapshot",
                   "keep: newest snapshot"}));
}

TEST(Retention, TheOrderOfTheListDoesNotMatter) {
  std::vector<SnapshotFacts> snapshots{aged(30 * kDayS), aged(20 * kDayS), aged(2 * kDayS), aged(-3 * kDayS),
                                       aged(9 * kDayS, Verified::kFailed)};
  std::map<std::string, std::string> expected;
  for (const Decision& decision : decide(snapshots, {7}, kNow)) expected[decision.name] = decision.reason;
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::shuffle(snapshots.begin(), snapshots.end(), random);
    const auto decisions = decide(snapshots, {7}, kNow);
    for (std::size_t j = 0; j < decisions.size(); ++j) {
      ASSERT_EQ(decisions[j].name, snapshots[j].name);
      ASSERT_EQ(decisions[j].reason, expected[decisions[j].name]);
    }
  }
}

// --- a year of nights in Berlin --------------------------------------------------------------------------

class BerlinYear : public testing::Test {
 protected:
  BerlinYear() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~BerlinYear() override {
    ::unsetenv("TZ");
    ::tzset();
  }

  // A backup at this moment, followed by retention if it is good, as in a run.
  void run(std::int64_t unix_s, Verified verified, std::int64_t clock_error_s = 0) {
    const SnapshotTime time = local_snapshot_time(unix_s + clock_error_s);
    snapshots_.push_back({format_snapshot_name(time), time, verified, "", false});
    if (verified == Verified::kOk) prune(unix_s + clock_error_s);
  }

  void prune(std::int64_t now_unix_s) {
    const auto decisions = decide(snapshots_, {7}, now_unix_s);
    std::vector<SnapshotFacts> kept;
    for (std::size_t i = 0; i < decisions.size(); ++i)
      if (decisions[i].keep) kept.push_back(snapshots_[i]);
    snapshots_ = kept;
  }

  bool has(std::string_view name) const {
    return std::any_of(snapshots_.begin(), snapshots_.end(),
                       [&](const auto& each) { return each.name == name; });
  }

  // Calls `night(unix_s)` whenever the clock on the wall in Berlin says half past two in 2026.
  template <typename Night>
  void each_night(Night night) {
    for (std::int64_t unix_s = kNewYear; unix_s < kNewYear + 365 * kDayS; unix_s += kHourS / 2)
      if (format_snapshot_name(local_snapshot_time(unix_s)).substr(10, 7) == "T023000") night(unix_s);
  }

  static constexpr std::int64_t kNewYear = 1'767'222'000;  // 2026-01-01T000000+0100
  std::vector<SnapshotFacts> snapshots_;
};

TEST_F(BerlinYear, AWeekOfNightsIsThereEveryMorning) {
  int nights = 0;
  each_night([&](std::int64_t unix_s) {
    run(unix_s, Verified::kOk);
    ++nights;
    // The night that spring skips leaves seven of eight; the one that autumn repeats adds a ninth.
    ASSERT_LE(snapshots_.size(), 9U) << snapshots_.back().name;
    ASSERT_GE(snapshots_.size(), std::min<std::size_t>(7, static_cast<std::size_t>(nights)));
  });
  EXPECT_EQ(nights, 365);  // one skipped, one repeated
}

TEST_F(BerlinYear, TheSecondRunOfTheRepeatedHourIsTheNewest) {
  each_night([&](std::int64_t unix_s) {
    if (format_snapshot_name(local_snapshot_time(unix_s)) <= "2026-10-25T023000+0200")
      run(unix_s, Verified::kOk);
  });
  prune(kNewYear + 400 * kDayS);
  ASSERT_EQ(snapshots_.size(), 1U);
  EXPECT_EQ(snapshots_[0].name, "2026-10-25T023000+0100");
}

TEST_F(BerlinYear, FailedRunsAndGapsNeverCostTheLastGoodOne) {
  std::mt19937 random(42);
  std::string last_good;
  each_night([&](std::int64_t unix_s) {
    const auto dice = random() % 10;
    const bool long_outage = unix_s > kNewYear + 200 * kDayS && unix_s < kNewYear + 260 * kDayS;
    if (dice == 0) return;  // the laptop was asleep
    const bool good = !long_outage && dice > 3;
    run(unix_s, good ? Verified::kOk : Verified::kFailed);
    if (good) last_good = snapshots_.back().name;
    prune(unix_s);  // `litepull cleanup` by hand, whatever the run said
    ASSERT_TRUE(last_good.empty() || has(last_good)) << last_good;
    ASSERT_TRUE(std::all_of(snapshots_.begin(), snapshots_.end(), [&](const auto& each) {
      return each.name == last_good || unix_s - each.time.unix_s <= 7 * kDayS;
    }));
  });
}

TEST_F(BerlinYear, NightsWithAWrongClockAlwaysLeaveAGoodSnapshot) {
  std::mt19937 random(7);
  bool ever_good = false;
  each_night([&](std::int64_t unix_s) {
    const auto dice = random() % 20;
    const std::int64_t wrong_by_s = dice == 0 ? 900 * kDayS : dice == 1 ? -900 * kDayS : 0;
    const bool good = random() % 3 != 0;
    ever_good = ever_good || good;
    run(unix_s, good ? Verified::kOk : Verified::kFailed, wrong_by_s);
    if (good && wrong_by_s == 0) {
      ASSERT_TRUE(has(format_snapshot_name(local_snapshot_time(unix_s))));
    }
    prune(unix_s);
    auto is_good = [](const auto& each) { return each.verified == Verified::kOk; };
    ASSERT_EQ(std::any_of(snapshots_.begin(), snapshots_.end(), is_good), ever_good);
  });
}

TEST(RetentionTest, TheNewestFullyVerifiedStaysBesideOneThatWasOnlyQuicklyChecked) {
  const std::int64_t now = 1'800'000'000;
  const SnapshotFacts old{"old", {now - 90 * 86'400, 0}, Verified::kOk, "", false, true};
  const SnapshotFacts full{"full", {now - 60 * 86'400, 0}, Verified::kOk, "", false, true};
  const SnapshotFacts quick{"quick", {now - 30 * 86'400, 0}, Verified::kOk, "", false, false};
  const std::vector<Decision> decisions = decide(std::vector{old, full, quick}, {7}, now);
  EXPECT_FALSE(decisions[0].keep);
  EXPECT_TRUE(decisions[1].keep);
  EXPECT_TRUE(decisions[2].keep);
}

}  // namespace
}  // namespace litepull
