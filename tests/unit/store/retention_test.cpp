#include "client/store/retention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <random>

namespace litepull {
namespace {

constexpr std::int64_t kHourS = 3600;
constexpr std::int64_t kDayS = 24 * kHourS;
constexpr std::int64_t kNow = 1'795'309'200;  // 2026-11-22T020000+0100

SnapshotFacts at(std::int64_t unix_s, Verified verified = Verified::kOk) {
  const SnapshotTime time{unix_s, 60};
  return {format_snapshot_name(time), time, verified, "", false};
}

SnapshotFacts aged(std::int64_t age_s, Verified verified = Verified::kOk) {
  return at(kNow - age_s, verified);
}

std::vector<std::string> reasons(const std::vector<SnapshotFacts>& snapshots,
                                 std::int64_t retention_days = 7) {
  std::vector<std::string> texts;
  for (const Decision& decision : decide(snapshots, {retention_days}, kNow))
    texts.push_back((decision.keep ? "keep: " : "remove: ") + decision.reason);
  return texts;
}

using Texts = std::vector<std::string>;

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
  pinned.pinned = labelled.pinned = true;
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

  // A backup at this moment, and retention after it if it is good, as a run does it.
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

// --- rules that count, as restic users know them ---------------------------------------------------------

// Instants of UTC, written as restic's documentation writes them, oldest first.
std::vector<SnapshotFacts> on(const std::vector<std::string>& times) {
  std::vector<SnapshotFacts> snapshots;
  for (const std::string& time : times) {
    const SnapshotTime parsed = parse_snapshot_name(time + "+0000").value();
    snapshots.push_back({format_snapshot_name(parsed), parsed, Verified::kOk, "", false});
  }
  return snapshots;
}

std::vector<std::string> kept(const std::vector<SnapshotFacts>& snapshots, const Policy& policy) {
  std::vector<std::string> dates;
  for (const Decision& decision : decide(snapshots, policy, kNow))
    if (decision.keep) dates.push_back(decision.name.substr(0, 10));
  return dates;
}

Policy counting(std::int64_t last, std::int64_t daily = 0, std::int64_t weekly = 0, std::int64_t monthly = 0,
                std::int64_t yearly = 0) {
  return {std::nullopt, last, daily, weekly, monthly, yearly};
}

std::vector<SnapshotFacts> twelve_sundays() {
  return on({"2019-09-01T110000", "2019-09-08T110000", "2019-09-15T110000", "2019-09-22T110000",
             "2019-09-29T110000", "2019-10-06T110000", "2019-10-13T110000", "2019-10-20T110000",
             "2019-10-27T110000", "2019-11-03T110000", "2019-11-10T110000", "2019-11-17T110000"});
}

// The first example of restic's documentation of `forget` (060_forget.rst).
TEST(RetentionCounts, FourDailyOfTwelveSundaysAreTheLastFour) {
  const Texts last_four{"2019-10-27", "2019-11-03", "2019-11-10", "2019-11-17"};
  EXPECT_EQ(kept(twelve_sundays(), counting(0, 4)), last_four);
  EXPECT_EQ(kept(twelve_sundays(), counting(4)), last_four);
  EXPECT_EQ(kept(twelve_sundays(), counting(0, 0, 4)), last_four);
}

// The second one: every day for 100 years, --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --keep-yearly 75.
TEST(RetentionCounts, AHundredYearsOfDaysLeaveWhatResticSays) {
  const SnapshotTime last = parse_snapshot_name("2026-11-21T110000+0000").value();
  std::vector<SnapshotFacts> snapshots;
  for (std::int64_t day = 36525; day-- > 0;) {
    const SnapshotTime time{last.unix_s - day * kDayS, 0};
    snapshots.push_back({format_snapshot_name(time), time, Verified::kOk, "", false});
  }
  const Texts dates = kept(snapshots, counting(0, 7, 5, 12, 75));
  // A Saturday. 7 days, 4 Sundays more (this week's is among the days), 11 ends of months, 74 of years; the
  // end of November 2025 to October 2026 holds that of 2025 and no Sunday of the last four but none of 31st.
  EXPECT_EQ(Texts(dates.end() - 7, dates.end()),
            (Texts{"2026-11-15", "2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20",
                   "2026-11-21"}));
  const auto has = [&](const char* date) { return std::count(dates.begin(), dates.end(), date) == 1; };
  for (const char* sunday : {"2026-10-25", "2026-11-01", "2026-11-08", "2026-11-15"})
    EXPECT_TRUE(has(sunday));
  EXPECT_FALSE(has("2026-10-18"));
  for (const char* end : {"2025-12-31", "2026-01-31", "2026-02-28", "2026-10-31", "1952-12-31"})
    EXPECT_TRUE(has(end)) << end;
  for (const char* gone : {"2025-11-30", "1951-12-31", "2026-11-14"}) EXPECT_FALSE(has(gone)) << gone;
  // 7 days; 3 more weeks; 10 more months, Dec. 2025 among them; 73 more years.
  EXPECT_EQ(dates.size(), 7U + 3 + 11 + 73);
}

// What restic's users asked about: fewer months than places, so the oldest one stays, too.
TEST(RetentionCounts, WhileThereAreFewerPeriodsThanPlacesTheOldestStays) {
  const auto january =
      on({"2024-01-02T134244", "2024-01-03T010438", "2024-01-04T200954", "2024-01-04T202052"});
  EXPECT_EQ(kept(january, counting(0, 0, 0, 4)), (Texts{"2024-01-02", "2024-01-04"}));
  const auto decisions = decide(january, counting(0, 0, 0, 4), kNow);
  EXPECT_EQ(decisions[0].reason, "oldest monthly snapshot");
  EXPECT_EQ(decisions[1].reason, "1053 days old, not kept by KEEP_MONTHLY=4");
}

TEST(RetentionCounts, APeriodIsThatOfTheClockOnTheWall) {
  // 2026-03-01T003000+0900 is still February in UTC.
  const SnapshotTime tokyo = parse_snapshot_name("2026-03-01T003000+0900").value();
  std::vector<SnapshotFacts> snapshots = on({"2026-02-27T120000", "2026-02-28T120000"});
  snapshots.push_back({format_snapshot_name(tokyo), tokyo, Verified::kOk, "", false});
  EXPECT_EQ(kept(snapshots, counting(0, 0, 0, 2)), (Texts{"2026-02-28", "2026-03-01"}));
}

TEST(RetentionCounts, AWeekBeginsOnMonday) {
  EXPECT_EQ(kept(on({"2026-11-14T120000", "2026-11-15T235959", "2026-11-16T000000"}), counting(0, 0, 2)),
            (Texts{"2026-11-15", "2026-11-16"}));
}

TEST(RetentionCounts, DaysBeforeTheEpochAreDaysToo) {
  EXPECT_EQ(kept(on({"1969-12-28T120000", "1969-12-29T120000", "1969-12-31T120000", "1970-01-01T120000"}),
                 counting(0, 0, 2)),
            (Texts{"1969-12-28", "1970-01-01"}));
}

TEST(RetentionCounts, TheNewestVerifiedOneStandsForItsDayAndAFailedOneUsesUpNoPlace) {
  auto snapshots = on({"2026-11-18T100000", "2026-11-19T100000", "2026-11-19T110000", "2026-11-20T100000",
                       "2026-11-21T100000"});
  snapshots[2].verified = Verified::kSkipped;  // the 19th has one that is verified
  snapshots[3].verified = Verified::kFailed;   // the 20th has none
  EXPECT_EQ(kept(snapshots, counting(0, 3)), (Texts{"2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"}));
  const auto decisions = decide(snapshots, counting(0, 2), kNow);
  EXPECT_EQ(decisions[1].reason, "daily snapshot");
  EXPECT_FALSE(decisions[2].keep);
  EXPECT_TRUE(decisions[3].keep);
}

TEST(RetentionCounts, ARuleKeepsWhatAnotherWouldNot) {
  Policy policy = counting(0, 0, 0, 2);
  policy.retention_days = 7;
  const std::vector<SnapshotFacts> snapshots{aged(60 * kDayS), aged(40 * kDayS), aged(3 * kDayS), aged(0)};
  Texts texts;
  for (const Decision& decision : decide(snapshots, policy, kNow)) texts.push_back(decision.reason);
  EXPECT_EQ(texts, (Texts{"60 days old, past 7, not kept by KEEP_MONTHLY=2", "monthly snapshot",
                          "3 days old, kept for 7", "newest verified snapshot"}));
}

TEST(RetentionCounts, AllReasonsAreNamed) {
  EXPECT_EQ(decide(on({"2026-11-15T100000", "2026-11-20T100000"}), counting(2, 2, 2), kNow)[0].reason,
            "last snapshot, daily snapshot, weekly snapshot");
}

TEST(RetentionCounts, PreDeploySnapshotsHaveACountOfTheirOwn) {
  std::vector<SnapshotFacts> snapshots{aged(300 * kDayS), aged(200 * kDayS), aged(100 * kDayS),
                                       aged(2 * kHourS),  aged(kHourS),      aged(0)};
  for (const int i : {0, 1, 3, 4}) snapshots[static_cast<std::size_t>(i)].label = "pre-deploy 3f2a1c0";
  snapshots[2].label = "pre-deployment test";  // not one of them
  Policy policy;
  policy.keep_pre_deploy = 3;
  Texts texts;
  for (const Decision& decision : decide(snapshots, policy, kNow)) texts.push_back(decision.reason);
  EXPECT_EQ(texts, (Texts{"not one of the last 3 pre-deploy snapshots", "pre-deploy snapshot",
                          "100 days old, past 7", "pre-deploy snapshot", "pre-deploy snapshot",
                          "newest verified snapshot"}));
}

TEST(RetentionCounts, PreDeploySnapshotsPushOutNoOthers) {
  std::vector<SnapshotFacts> snapshots = on({"2026-11-19T100000", "2026-11-20T100000", "2026-11-21T100000",
                                             "2026-11-21T110000", "2026-11-21T120000"});
  snapshots[3].label = snapshots[4].label = "pre-deploy";
  const auto decisions = decide(snapshots, counting(2), kNow);
  EXPECT_FALSE(decisions[0].keep);
  EXPECT_EQ(decisions[1].reason, "last snapshot");
  EXPECT_EQ(decisions[2].reason, "last snapshot");
}

// --- against a model -------------------------------------------------------------------------------------

// Says the rules once more, slowly, each as a question about the other snapshots.
class Model {
 public:
  Model(const std::vector<SnapshotFacts>& all, const Policy& policy, std::int64_t now)
      : all_(all), policy_(policy), now_(now) {}

  bool keeps(const SnapshotFacts& one) const {
    const std::int64_t age_s = now_ - one.time.unix_s;
    if (age_s < -kDayS || one.pinned || is_newest(one)) return true;
    if (is_pre_deploy(one.label)) return counted(one, policy_.keep_pre_deploy, "%s");
    return (policy_.retention_days && age_s <= *policy_.retention_days * kDayS) ||
           counted(one, policy_.keep_last, "%s") || counted(one, policy_.keep_daily, "%Y-%m-%d") ||
           counted(one, policy_.keep_weekly, "%G-%V") || counted(one, policy_.keep_monthly, "%Y-%m") ||
           counted(one, policy_.keep_yearly, "%Y");
  }

 private:
  static std::string period(const SnapshotFacts& one, const char* format) {
    const std::time_t local = one.time.unix_s + one.time.offset_min * 60;
    std::tm parts{};
    ::gmtime_r(&local, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, format, &parts)};
  }

  bool is_newest(const SnapshotFacts& one) const {
    bool newer_verified = false, newer = false;
    for (const SnapshotFacts& other : all_) {
      const bool later = std::pair(other.order, other.time.unix_s) > std::pair(one.order, one.time.unix_s) &&
                         other.time.unix_s <= now_ + kDayS;
      newer = newer || later;
      newer_verified = newer_verified || (later && other.verified == Verified::kOk);
    }
    return !newer || (one.verified == Verified::kOk && !newer_verified);
  }

  static int worth(const SnapshotFacts& one) {
    return one.verified == Verified::kOk ? 2 : one.verified == Verified::kFailed ? 0 : 1;
  }

  bool counted(const SnapshotFacts& one, std::int64_t count, const char* format) const {
    if (count == 0) return false;
    std::map<std::string, const SnapshotFacts*>
        best;  // "%s" is the instant: GNU and BSD; as text, same length
    const SnapshotFacts* oldest = &one;
    for (const SnapshotFacts& other : all_) {
      if (other.time.unix_s > now_ + kDayS || is_pre_deploy(other.label) != is_pre_deploy(one.label))
        continue;
      if (other.time.unix_s < oldest->time.unix_s) oldest = &other;
      const SnapshotFacts*& found =
          best[*format == '%' && format[1] == 's' ? other.name : period(other, format)];
      if (found == nullptr ||
          std::pair(worth(other), other.time.unix_s) > std::pair(worth(*found), found->time.unix_s))
        found = &other;
    }
    std::int64_t used_by_newer = 0, used = 0;
    bool stands = false;
    for (const auto& [name, found] : best) {
      stands = stands || found == &one;
      if (worth(*found) == 0) continue;
      ++used;
      if (found->time.unix_s > one.time.unix_s) ++used_by_newer;
    }
    return (stands && used_by_newer < count) || (oldest == &one && used < count);
  }

  const std::vector<SnapshotFacts>& all_;
  const Policy& policy_;
  const std::int64_t now_;
};

std::vector<SnapshotFacts> random_history(std::mt19937_64& random) {
  std::map<std::int64_t, SnapshotFacts> history;  // by instant: the lock allows no two runs in one second
  const std::int64_t span_days = random() % 2 ? 25 : 900;
  for (std::uint64_t left = random() % 14; left > 0; --left) {
    const std::int64_t age_s =
        static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span_days * kDayS)) - 5 * kDayS;
    const std::int64_t unix_s = random() % 4 ? kNow - age_s : kNow - age_s / kDayS * kDayS;  // edges too
    history[unix_s] = at(unix_s, static_cast<Verified>(random() % 4));
    history[unix_s].pinned = random() % 10 == 0;
    history[unix_s].order = static_cast<std::int64_t>(random() % 3);
    if (random() % 4 == 0) history[unix_s].label = random() % 2 ? "pre-deploy" : "pre-deploy 3f2a1c0";
  }
  std::vector<SnapshotFacts> snapshots;
  for (const auto& [unix_s, facts] : history) snapshots.push_back(facts);
  return snapshots;
}

Policy random_policy(std::mt19937_64& random) {
  auto count = [&] { return random() % 2 ? static_cast<std::int64_t>(random() % 6) : std::int64_t{0}; };
  Policy policy{
      static_cast<std::int64_t>(random() % 12), count(), count(), count(), count(), count(), count() + 1};
  if (random() % 2) policy.retention_days.reset();
  return policy;
}

TEST(Retention, AHundredThousandRandomHistoriesAgreeWithTheModel) {
  std::mt19937_64 random(20261122);
  const int histories = std::getenv("LITEPULL_LONG") != nullptr ? 1'000'000 : 100'000;
  int removed = 0, kept = 0;
  for (int i = 0; i < histories; ++i) {
    const auto snapshots = random_history(random);
    const Policy policy = random_policy(random);
    const auto decisions = decide(snapshots, policy, kNow);
    const Model model(snapshots, policy, kNow);
    ASSERT_EQ(decisions.size(), snapshots.size());
    for (std::size_t j = 0; j < decisions.size(); ++j) {
      ASSERT_EQ(decisions[j].name, snapshots[j].name);
      ASSERT_EQ(decisions[j].keep, model.keeps(snapshots[j])) << i << ": " << decisions[j].reason;
      ++(decisions[j].keep ? kept : removed);
    }
  }
  EXPECT_GT(removed, histories / 2);
  EXPECT_GT(kept, histories / 2);
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
