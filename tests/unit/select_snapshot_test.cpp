#include "client/select_snapshot.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/error.h"

namespace litepull {
namespace {

struct Made {
  std::string name, label;
  Verified verified = Verified::kOk;
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
    listing.snapshots.push_back(std::move(snapshot));
  }
  return listing;
}

const Listing kThree = listing_of({{"2026-11-20T020000+0100", "before-deploy"},
                                   {"2026-11-21T020000+0100", "quiet"},
                                   {"2026-11-22T020000+0100", "before-deploy", Verified::kFailed}});

std::string chosen(const Listing& listing, const std::string& word) {
  return select_snapshot(listing, word).name;
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
  EXPECT_EQ(index_of(kThree, select_snapshot(kThree, "2")), 2u);
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

}  // namespace
}  // namespace litepull
