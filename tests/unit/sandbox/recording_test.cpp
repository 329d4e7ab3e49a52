// What a manifest records after a check.
#include <gtest/gtest.h>

#include "client/base/clock.h"
#include "client/verify/verify_snapshot.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

using test::kDatabaseName;
using State = DatabaseReport::State;

SnapshotReport report_with(State state) {
  SnapshotReport report;
  DatabaseReport& database = report.databases.emplace_back();
  database.name = kDatabaseName;
  database.state = state;
  if (state != State::kGood) database.problems = {"its checksum is wrong"};
  database.pages = {{7, "table \"accounts\""}};
  return report;
}

Manifest manifest_with(Verified verified, const std::string& verify) {
  Manifest manifest;
  manifest.verify = verify;
  manifest.verified = verified;
  manifest.verified_at = "before";
  manifest.databases.emplace_back().name = kDatabaseName;
  manifest.databases[0].verified = verified;
  return manifest;
}

// Returns what is recorded after a check, as "verified by verify", or "untouched".
std::string recorded(State state, CheckDepth depth, Verified verified, const std::string& verify) {
  Manifest manifest = manifest_with(verified, verify);
  const Manifest before = manifest;
  if (!apply_report(report_with(state), depth, 1000, manifest)) {
    EXPECT_EQ(manifest, before);
    return "untouched";
  }
  EXPECT_EQ(manifest.verified_at, rfc3339_utc(1000));
  EXPECT_EQ(manifest.databases[0].problems.empty(), manifest.verified == Verified::kOk);
  return std::string(verified_text(manifest.verified)) + " by " + manifest.verify;
}

TEST(RecordingAResult, FullChecksCountWhateverWasThere) {
  for (const Verified before : {Verified::kOk, Verified::kFailed, Verified::kSkipped, Verified::kPending})
    for (const char* verify : {"full", "quick", "none"}) {
      EXPECT_EQ(recorded(State::kGood, CheckDepth::kFull, before, verify), "ok by full");
      EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kFull, before, verify), "failed by full");
      EXPECT_EQ(recorded(State::kMissing, CheckDepth::kFull, before, verify), "failed by full");
    }
}

TEST(RecordingAResult, QuickChecksNeitherUndoNorClaimAFullOne) {
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kFailed, "full"), "untouched");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kOk, "full"), "untouched");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kPending, "full"), "ok by quick");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kSkipped, "none"), "ok by quick");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kFailed, "quick"), "ok by quick");
  EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kQuick, Verified::kOk, "full"), "failed by full");
  EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kQuick, Verified::kSkipped, "none"), "failed by quick");
}

TEST(RecordingAResult, AQuickCheckOfSomeClaimsNoFullOneForThem) {
  Manifest manifest = manifest_with(Verified::kPending, "full");
  manifest.databases.push_back(manifest.databases[0]);
  manifest.databases[1].name = "other.sqlite3";
  SnapshotReport report = report_with(State::kGood);
  report.databases.push_back(report_with(State::kUnchecked).databases[0]);
  report.databases[1].name = "other.sqlite3";
  ASSERT_TRUE(apply_report(report, CheckDepth::kQuick, 1000, manifest));
  EXPECT_EQ(manifest.databases[0].verified, Verified::kOk);
  EXPECT_EQ(manifest.verify, "quick");
}

TEST(RecordingAResult, WhatCouldNotBeCheckedStaysAsItWas) {
  for (const Verified before : {Verified::kOk, Verified::kFailed, Verified::kPending})
    EXPECT_EQ(recorded(State::kUnchecked, CheckDepth::kFull, before, "full"), "untouched");
}

}  // namespace
}  // namespace litepull
