#include "client/store/select_snapshot.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kNow = 1'795'309'200 + kDayS;  // 2026-11-23T020000+0100

struct Made {
  std::string name, label;
  Verified verified = Verified::kOk;
  std::int64_t order = 0;
};

Listing listing_of(const std::vector<Made>& all) {
  Listing listing;
  for (const Made& made : all) {
    Snapshot snapshot;
    snapshot.name = made.name;
    snapshot.time = *parse_snapshot_name(made.name);
    snapshot.verified = made.verified;
    snapshot.manifest.emplace();
    snapshot.manifest->label = made.label;
    snapshot.manifest->order = made.order;
    listing.snapshots.push_back(std::move(snapshot));
  }
  sort_as_taken(listing.snapshots);
  return listing;
}

const Listing kThree = listing_of({{"2026-11-20T020000+0100", "before-deploy"},
                                   {"2026-11-21T020000+0100", "quiet"},
                                   {"2026-11-22T020000+0100", "before-deploy", Verified::kFailed}});

std::string chosen(const Listing& listing, const std::string& word) {
  return select_snapshot(listing, word, kNow).name;
}

std::string refusal(const Listing& listing, const std::string& word) {
  try {
    return "chosen: " + chosen(listing, word);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
    EXPECT_FALSE(error.hint().empty());
    return error.message();
  }
}

const Listing kDeploys = listing_of({{"2026-11-20T020000+0100", "pre-deploy abc by me"},
                                     {"2026-11-21T020000+0100", "pre-deploy def by me"},
                                     {"2026-11-22T020000+0100", "quiet"},
                                     {"2026-11-22T030000+0100", "before-restore"},
                                     {"2026-11-22T040000+0100", "latest"}});

TEST(SelectSnapshot, ALabelIsFoundByItsBeginningAndTheNewestCounts) {
  EXPECT_EQ(chosen(kDeploys, "pre-deploy"), "2026-11-21T020000+0100");
  EXPECT_EQ(chosen(kDeploys, "pre-deploy abc"), "2026-11-20T020000+0100");
  EXPECT_EQ(refusal(kDeploys, "deploy"),
            "no snapshot is named or labelled \"deploy\"; the newest are "
            "2026-11-22T040000+0100, 2026-11-22T030000+0100, "
            "2026-11-22T020000+0100, 2026-11-21T020000+0100, 2026-11-20T020000+0100");
}

TEST(SelectSnapshot, AWholeLabelComesBeforeANewerOneThatBeginsSo) {
  const Listing listing =
      listing_of({{"2026-11-20T020000+0100", "deploy"}, {"2026-11-21T020000+0100", "deploy 2"}});
  EXPECT_EQ(chosen(listing, "deploy"), "2026-11-20T020000+0100");
}

TEST(SelectSnapshot, TheBeginningOfALabelNeverMeansASafetySnapshot) {
  EXPECT_TRUE(refusal(kDeploys, "before").starts_with("no snapshot is named or labelled"));
  EXPECT_EQ(chosen(kDeploys, "before-restore"), "2026-11-22T030000+0100");
}

TEST(SelectSnapshot, ASnapshotWhoseLabelIsAWordIsStillReachedByItsName) {
  EXPECT_EQ(chosen(kDeploys, "2026-11-22T04"), "2026-11-22T040000+0100");
}

TEST(SelectSnapshot, WordsThatMeanASnapshotAreNoLabels) {
  for (const char* word : {"latest", "latest-verified", "live", "all", "1", "999"})
    EXPECT_TRUE(is_snapshot_word(word)) << word;
  for (const char* word : {"", "pre-deploy", "20261128", "1a", "later"})
    EXPECT_FALSE(is_snapshot_word(word)) << word;
}

TEST(SelectSnapshot, ADatabaseIsFoundWithoutItsEnding) {
  EXPECT_EQ(database_called({"a.sqlite3", "b.db"}, "a"), "a.sqlite3");
  EXPECT_EQ(database_called({"a.sqlite3", "a"}, "a"), "a");
  EXPECT_EQ(database_called({"a.sqlite3", "b.db"}, "b"), "");
}

TEST(SelectSnapshot, LatestIsTheNewestWhateverItIsWorth) {
  EXPECT_EQ(chosen(kThree, "latest"), "2026-11-22T020000+0100");
  EXPECT_EQ(chosen(kThree, "latest-verified"), "2026-11-21T020000+0100");
}

TEST(SelectSnapshot, OfSnapshotsThatCannotBeReadItSaysSoAndNotThatThereAreNone) {
  Listing listing;
  listing.strangers = {{"2026-11-20T020000+0100", "cannot be opened"},
                       {"2026-11-21T020000+0100", "its manifest is gone", true},
                       {"notes", "is no snapshot"}};
  for (const char* word : {"latest", "latest-verified", "1", "before-deploy"}) {
    try {
      ADD_FAILURE() << "chosen: " << chosen(listing, word);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailed);
      EXPECT_EQ(error.message(), "no snapshot can be read; 2026-11-21T020000+0100: its manifest is gone");
    }
  }
  listing.strangers[1].damaged = false;
  EXPECT_EQ(refusal(listing, "latest"), "there are no snapshots");
}

TEST(SelectSnapshot, IndexesCountFromTheNewest) {
  EXPECT_EQ(chosen(kThree, "1"), "2026-11-22T020000+0100");
  EXPECT_EQ(chosen(kThree, "3"), "2026-11-20T020000+0100");
  EXPECT_NE(refusal(kThree, "4").find("there is no snapshot 4"), std::string::npos);
  EXPECT_EQ(number_of(kThree, select_snapshot(kThree, "2", kNow), kNow), 2u);
}

TEST(SelectSnapshot, NamesLabelsAndBeginningsOfNamesAreTaken) {
  EXPECT_EQ(chosen(kThree, "2026-11-20T020000+0100"), "2026-11-20T020000+0100");
  EXPECT_EQ(chosen(kThree, "quiet"), "2026-11-21T020000+0100");
  EXPECT_EQ(chosen(kThree, "2026-11-21"), "2026-11-21T020000+0100");
}

TEST(SelectSnapshot, WhatFitsSeveralIsRefusedAndNamesThem) {
  const std::string label = refusal(kThree, "before-deploy");
  EXPECT_NE(label.find("2026-11-20T020000+0100, 2026-11-22T020000+0100"), std::string::npos) << label;
  EXPECT_NE(refusal(kThree, "2026-11").find("several"), std::string::npos);
  EXPECT_NE(refusal(kThree, "2026").find("several"), std::string::npos);  // a year, no index
}

TEST(SelectSnapshot, WhatFitsNoneIsRefusedWithWhatThereIs) {
  const std::string none = refusal(kThree, "nightly\n");
  EXPECT_NE(none.find("\"nightly\\x0A\""), std::string::npos) << none;
  EXPECT_NE(none.find("2026-11-22T020000+0100, 2026-11-21T020000+0100"), std::string::npos) << none;
  EXPECT_EQ(refusal(Listing{}, "latest"), "there are no snapshots");
  EXPECT_NE(refusal(kThree, "").find("no snapshot was named"), std::string::npos);
}

// A label that is also the beginning of a name, or an index, must not hide behind them or the other way
// round.
TEST(SelectSnapshot, AWholeNameWinsOverALabel) {
  const Listing listing = listing_of(
      {{"2026-11-20T020000+0100", "2026-11-21T020000+0100"}, {"2026-11-21T020000+0100", "2026-11-20"}});
  EXPECT_EQ(chosen(listing, "2026-11-21T020000+0100"), "2026-11-21T020000+0100");
  EXPECT_EQ(chosen(listing, "2026-11-20"), "2026-11-21T020000+0100");
}

// --- what no number means --------------------------------------------------------------------------------

const Listing kAfterRestore = listing_of({{"2026-11-21T020000+0100", ""},
                                          {"2026-11-22T020000+0100", "nightly"},
                                          {"2026-11-22T100000+0100", "before-restore"}});

TEST(SelectSnapshot, WhatWasTakenBeforeARestoreIsMeantByItsNameAlone) {
  EXPECT_EQ(chosen(kAfterRestore, "latest"), "2026-11-22T020000+0100");
  EXPECT_EQ(chosen(kAfterRestore, "latest-verified"), "2026-11-22T020000+0100");
  EXPECT_EQ(chosen(kAfterRestore, "1"), "2026-11-22T020000+0100");
  EXPECT_EQ(chosen(kAfterRestore, "2"), "2026-11-21T020000+0100");
  EXPECT_NE(refusal(kAfterRestore, "3").find("there is no snapshot 3"), std::string::npos);
  for (const char* word : {"before-restore", "2026-11-22T10", "2026-11-22T100000+0100"})
    EXPECT_EQ(chosen(kAfterRestore, word), "2026-11-22T100000+0100");
  const Snapshot& safety = kAfterRestore.snapshots.back();
  EXPECT_EQ(why_unnumbered(safety, kNow), "before-restore");
  EXPECT_EQ(number_of(kAfterRestore, safety, kNow), std::nullopt);
  const Listing ahead =
      listing_of({{"2026-11-22T020000+0100", ""}, {"2027-11-22T100000+0100", "before-restore"}});
  EXPECT_EQ(newer_from_future(ahead, ahead.snapshots[0], "latest", kNow), "");
}

TEST(SelectSnapshot, ASafetySnapshotIsKnownByItsManifestWhateverItsLabel) {
  Listing listing = kAfterRestore;
  listing.snapshots[1].manifest->before_restore.emplace();
  EXPECT_EQ(chosen(listing, "latest"), "2026-11-21T020000+0100");
}

TEST(SelectSnapshot, OneFromTheFutureComesAfterThePastOnesAndIsTold) {
  const Listing listing = listing_of({{"2026-11-21T020000+0100", ""}, {"2027-11-22T020000+0100", ""}});
  for (const char* word : {"latest", "latest-verified", "1"}) {
    const Snapshot& snapshot = select_snapshot(listing, word, kNow);
    EXPECT_EQ(snapshot.name, "2026-11-21T020000+0100");
    const std::string warning = newer_from_future(listing, snapshot, word, kNow);
    EXPECT_NE(warning.find("2027-11-22T020000+0100 was taken after it and is from the future"),
              std::string::npos)
        << warning;
  }
  EXPECT_EQ(chosen(listing, "2027"), "2027-11-22T020000+0100");
  EXPECT_EQ(why_unnumbered(listing.snapshots[1], kNow), "future");
  // A snapshot taken after it shows which of the clocks was wrong.
  const Listing after = listing_of({{"2026-11-21T020000+0100", ""},
                                    {"2027-11-22T020000+0100", ""},
                                    {"2026-11-22T020000+0100", "", Verified::kOk, 4'000'000'000}});
  EXPECT_EQ(chosen(after, "latest"), "2026-11-22T020000+0100");
  EXPECT_EQ(newer_from_future(after, after.snapshots.back(), "latest", kNow), "");
}

TEST(SelectSnapshot, WithAClockThatIsBehindAllNoWordMeansAnything) {
  const std::int64_t behind = kNow - 300 * kDayS;
  for (const char* word : {"latest", "latest-verified", "1"}) {
    try {
      ADD_FAILURE() << select_snapshot(kThree, word, behind).name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
      EXPECT_NE(error.message().find("3 are from the future by this machine's clock"), std::string::npos)
          << error.message();
      EXPECT_NE(error.hint().find("set this machine's clock"), std::string::npos);
    }
  }
  EXPECT_EQ(select_snapshot(kThree, "quiet", behind).name, "2026-11-21T020000+0100");
}

TEST(SelectSnapshot, LatestIsWhatWasTakenLastThoughAClockWasAhead) {
  // The second run's clock was 20 hours ahead; it was set right before the third.
  const std::int64_t ahead = parse_snapshot_name("2026-11-22T220000+0100")->unix_s;
  const Listing listing = listing_of({{"2026-11-21T020000+0100", ""},
                                      {"2026-11-22T220000+0100", "", Verified::kOk, ahead},
                                      {"2026-11-22T020500+0100", "", Verified::kOk, ahead + 1}});
  EXPECT_EQ(chosen(listing, "latest"), "2026-11-22T020500+0100");
  EXPECT_EQ(chosen(listing, "2"), "2026-11-22T220000+0100");
  EXPECT_EQ(next_order(listing, kNow), kNow);
  EXPECT_EQ(next_order(listing, kNow - 10 * kDayS), ahead + 2);
}

TEST(SelectSnapshot, AClockThatWasSetBackALittleChangesNothing) {
  const std::int64_t just_before = parse_snapshot_name("2026-11-22T020000+0100")->unix_s - 3600;
  EXPECT_EQ(select_snapshot(kThree, "latest", just_before).name, "2026-11-22T020000+0100");
}

}  // namespace
}  // namespace litepull
