#include "client/store/snapshot_name.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

namespace litepull {
namespace {

constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";  // spelled out: needs no zone files

class ScopedZone {
 public:
  explicit ScopedZone(const char* zone) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~ScopedZone() {
    before_ ? ::setenv("TZ", before_->c_str(), 1) : ::unsetenv("TZ");
    ::tzset();
  }

 private:
  std::optional<std::string> before_;
};

TEST(SnapshotName, MeansOneInstant) {
  EXPECT_EQ(parse_snapshot_name("1970-01-01T000000+0000"), (SnapshotTime{0, 0}));
  EXPECT_EQ(parse_snapshot_name("2026-11-22T020000+0100"), (SnapshotTime{1'795'309'200, 60}));
  EXPECT_EQ(parse_snapshot_name("2026-11-21T213000-0330"), (SnapshotTime{1'795'309'200, -210}));
  EXPECT_EQ(parse_snapshot_name("1969-12-31T235959+0000"), (SnapshotTime{-1, 0}));
}

TEST(SnapshotName, MeansTheSameUnderEveryTimeZoneOfTheReader) {
  for (const char* zone : {"UTC", kBerlin, "XXX+11:30", "YYY-14"}) {
    const ScopedZone scoped(zone);
    EXPECT_EQ(parse_snapshot_name("2026-07-01T120000+0200")->unix_s, 1'782'900'000) << zone;
  }
}

TEST(SnapshotName, AcceptsLeapDaysThatExist) {
  EXPECT_TRUE(parse_snapshot_name("2028-02-29T000000+0000"));
  EXPECT_TRUE(parse_snapshot_name("2000-02-29T000000+0000"));
  EXPECT_FALSE(parse_snapshot_name("2026-02-29T000000+0000"));
  EXPECT_FALSE(parse_snapshot_name("2100-02-29T000000+0000"));
}

TEST(SnapshotName, AcceptsOffsetsUpToFourteenFiftyNine) {
  EXPECT_EQ(parse_snapshot_name("2026-01-01T000000+1459")->offset_min, 899);
  EXPECT_EQ(parse_snapshot_name("2026-01-01T000000-1459")->offset_min, -899);
  for (const char* zone : {"+1500", "-1500", "+1360", "+9900", "-0000", "0100", " 0100"})
    EXPECT_FALSE(parse_snapshot_name(std::string("2026-01-01T000000") + zone)) << zone;
}

TEST(SnapshotName, RefusesWhatIsNotExactlyTheForm) {
  for (const char* name : {"",
                           ".",
                           "..",
                           "2026-11-22",
                           "2026-11-22T020000",
                           "2026-11-22T020000Z",
                           "2026-11-22T02:00:00+0100",
                           "2026-11-22T020000+01:00",
                           "2026-11-22 020000+0100",
                           "2026-11-22t020000+0100",
                           "2026-11-22T020000+01000",
                           "2026-11-22T020000+010",
                           " 2026-11-22T020000+0100",
                           "2026-11-22T020000+0100 ",
                           "2026-11-22T020000+0100/",
                           "2026-1-022T020000+0100",
                           "+026-11-22T020000+0100",
                           "2026-11-22T0200 0+0100",
                           "2026-00-10T000000+0000",
                           "2026-13-10T000000+0000",
                           "2026-01-00T000000+0000",
                           "2026-01-32T000000+0000",
                           "2026-04-31T000000+0000",
                           "2026-01-01T240000+0000",
                           "2026-01-01T006000+0000",
                           "2026-01-01T235960+0000",
                           "2O26-01-01T000000+0000"})
    EXPECT_FALSE(parse_snapshot_name(name)) << name;
}

TEST(SnapshotName, RefusesEveryNameThatDiffersByOneStrayByte) {
  const std::string good = "2026-11-22T020000+0100";
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const char stray : {'\0', '/', '\n', 'x', ':', '\xC2'}) {
      std::string name = good;
      name[at] = stray;
      EXPECT_FALSE(parse_snapshot_name(name)) << at;
    }
}

TEST(SnapshotName, WritesAgainWhatItRead) {
  std::mt19937_64 random(20261122);
  for (int i = 0; i < 20'000; ++i) {
    const SnapshotTime time{static_cast<std::int64_t>(random() % 253'000'000'000) - 62'000'000'000,
                            static_cast<int>(random() % 1799) - 899};
    const std::string name = format_snapshot_name(time);
    ASSERT_EQ(parse_snapshot_name(name), time) << name;
  }
  EXPECT_EQ(format_snapshot_name({1'795'309'200, 60}), "2026-11-22T020000+0100");
}

TEST(SnapshotName, LocalTimeCarriesTheOffsetOfThatInstant) {
  const ScopedZone berlin(kBerlin);
  EXPECT_EQ(format_snapshot_name(local_snapshot_time(1'795'309'200)), "2026-11-22T020000+0100");
  EXPECT_EQ(format_snapshot_name(local_snapshot_time(1'782'900'000)), "2026-07-01T120000+0200");
}

TEST(SnapshotName, TheRepeatedHourOfAClockChangeIsOrderedByInstant) {
  const ScopedZone berlin(kBerlin);
  const SnapshotTime first = *parse_snapshot_name("2026-10-25T023000+0200");
  const SnapshotTime second = *parse_snapshot_name("2026-10-25T023000+0100");
  EXPECT_EQ(second.unix_s - first.unix_s, 3600);
  EXPECT_EQ(local_snapshot_time(first.unix_s), first);
  EXPECT_EQ(local_snapshot_time(second.unix_s), second);
  EXPECT_GT(format_snapshot_name(first), format_snapshot_name(second));  // why names must not decide
}

TEST(SnapshotName, AnOffsetNoNameCanHoldFallsBackToUtc) {
  const ScopedZone far_away("FAR-20");
  EXPECT_EQ(format_snapshot_name(local_snapshot_time(1'795'309'200)), "2026-11-22T010000+0000");
}

}  // namespace
}  // namespace litepull
