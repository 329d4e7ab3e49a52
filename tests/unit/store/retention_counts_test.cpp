// Rules that count, as users of restic know them.
#include "client/store/retention.h"

#include <gtest/gtest.h>

#include "tests/unit/store/retention_fixture.h"

namespace litepull {
namespace {

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

// As restic's users asked: with fewer months than places the oldest one stays too.
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

}  // namespace
}  // namespace litepull
