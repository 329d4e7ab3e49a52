#include "client/restore/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"

namespace litepull {
namespace {

Snapshot sample_snapshot() {
  Manifest manifest;
  manifest.databases.resize(2);
  manifest.databases[0].name = "production.sqlite3";
  manifest.databases[0].bytes = 8192;
  manifest.databases[1].name = "queue[1].sqlite3";
  manifest.databases[1].tables = {{"solid_queue_jobs", 12}};
  for (Manifest::Database& database : manifest.databases) database.verified = Verified::kOk;
  Snapshot snapshot;
  snapshot.name = "2026-11-22T020000+0100";
  snapshot.verified = Verified::kOk;
  snapshot.manifest = manifest;
  return snapshot;
}

RestorePlan sample_plan() {
  RestorePlan plan;
  plan.app = "shop";
  plan.where = "deploy@shop.example:/storage";
  const Snapshot snapshot = sample_snapshot();
  for (const Manifest::Database& entry : snapshot.manifest->databases)
    plan.databases.push_back({entry, {}, {}});
  for (RestorePlan::Database& database : plan.databases) {
    database.target.page_size = 4096;
    database.target.page_count = 3;
  }
  return plan;
}

std::string text_of(const RestorePlan& plan) {
  std::string text;
  for (const std::string& line : plan_lines(plan)) text += line + "\n";
  return text;
}

template <typename Call>
Error error_of_call(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::kFailed, "");
}

TEST(RestorePlanTest, AllDatabasesOrTheNamedOnesAreChosen) {
  EXPECT_EQ(choose_databases(sample_snapshot(), {}).size(), 2U);
  const auto one = choose_databases(sample_snapshot(), {"queue[1].sqlite3", "queue[1].sqlite3"});
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].name, "queue[1].sqlite3");
}

TEST(RestorePlanTest, OnlyTheChosenDatabasesMustHavePassedTheirCheck) {
  Snapshot snapshot = sample_snapshot();
  snapshot.verified = Verified::kFailed;
  snapshot.manifest->databases[0].verified = Verified::kFailed;
  const std::string bad = snapshot.manifest->databases[0].name, good = snapshot.manifest->databases[1].name;
  EXPECT_EQ(choose_databases(snapshot, {good}).size(), 1U);
  for (const std::vector<std::string>& names : std::vector<std::vector<std::string>>{{}, {bad}, {bad, good}})
    EXPECT_EQ(error_of_call([&] { choose_databases(snapshot, names); }).kind(), ErrorKind::kRefused);
}

TEST(RestorePlanTest, AnotherSourcesSnapshotNeedsAWordMoreAndThePlanHasBoth) {
  RestorePlan plan = sample_plan();
  EXPECT_TRUE(plan_json(plan)["other_source"].is_null());
  plan.source = Manifest::Server{"ssh", "staging.example", 22, "deploy", "/storage"};
  plan.sources = {"deploy@staging.example:/storage", "deploy@shop.example:/storage"};
  const Error error = error_of_call([&] { require_possible(plan); });
  EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
  for (const std::string& text : {error.message(), text_of(plan)}) {
    EXPECT_NE(text.find(plan.sources.theirs), std::string::npos) << text;
    EXPECT_NE(text.find(plan.sources.ours), std::string::npos) << text;
  }
  EXPECT_NE(error.hint().find("--from-other-server"), std::string::npos);
  EXPECT_EQ(plan_json(plan)["other_source"]["host"], "staging.example");
  plan.from_other_server = true;
  require_possible(plan);
}

TEST(RestorePlanTest, ANameThatTheSnapshotDoesNotHaveIsAMistakeOfTheUser) {
  const Error error = error_of_call([] {
    choose_databases(sample_snapshot(), {"production.sqlite3", "*.sqlite3"});
  });
  EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
  EXPECT_NE(error.hint().find("production.sqlite3"), std::string::npos);
}

TEST(RestorePlanTest, OnlyASnapshotThatPassedItsCheckGoesBack) {
  for (const Verified verified : {Verified::kFailed, Verified::kSkipped, Verified::kPending}) {
    Snapshot snapshot = sample_snapshot();
    snapshot.verified = verified;
    EXPECT_EQ(error_of_call([&] { choose_databases(snapshot, {}); }).kind(), ErrorKind::kRefused);
  }
  Snapshot of_old_script = sample_snapshot();
  of_old_script.manifest.reset();
  EXPECT_EQ(error_of_call([&] { choose_databases(of_old_script, {}); }).kind(), ErrorKind::kRefused);
}

TEST(RestorePlanTest, ThePlanNamesTheDestinationAndWhoHasADatabaseOpen) {
  RestorePlan plan = sample_plan();
  plan.databases[0].target.holders = {{4711, "puma"}, {4712, "\x1B[2J"}};
  plan.databases[1].target.state = TargetState::kMissing;
  const std::string text = text_of(plan);
  EXPECT_NE(text.find("deploy@shop.example:/storage"), std::string::npos) << text;
  EXPECT_NE(text.find("open in 2 processes: puma (4711), \\x1B[2J (4712)"), std::string::npos) << text;
  EXPECT_NE(text.find("missing on the server"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1B'), std::string::npos);
  EXPECT_EQ(plan_json(plan)["databases"][0]["open_in"][0]["pid"], 4711);
}

TEST(RestorePlanTest, AProblemOfTheServerIsShownAndStopsIt) {
  RestorePlan plan = sample_plan();
  EXPECT_NO_THROW(require_possible(plan));
  plan.databases[1].target.state = TargetState::kRefused;
  plan.databases[1].target.problem = {ErrorKind::kBusy, "no\n", "do this"};
  EXPECT_NE(text_of(plan).find("CANNOT BE RESTORED: no\\x0A"), std::string::npos);
  const Error error = error_of_call([&] { require_possible(plan); });
  EXPECT_EQ(error.kind(), ErrorKind::kRefused) << "exit code 5 is for our own lock";
  EXPECT_EQ(error.hint(), "do this");
}

TEST(RestorePlanTest, WhatAppearedOrWentAwaySinceTheUserSaidYesStopsIt) {
  const RestorePlan plan = sample_plan();
  std::vector<Target> now(2);
  EXPECT_NO_THROW(require_same_places(plan, now));
  now[1].state = TargetState::kMissing;
  EXPECT_THROW(require_same_places(plan, now), Error);
  RestorePlan was_missing = plan;
  was_missing.databases[1].target.state = TargetState::kMissing;
  EXPECT_NO_THROW(require_same_places(was_missing, now));
  now[1].state = TargetState::kThere;
  EXPECT_THROW(require_same_places(was_missing, now), Error);
}

TEST(RestorePlanTest, TheSafetySnapshotHoldsWhatIsReplacedWhateverIsExcluded) {
  Config config;
  config.databases = {"prod*.sqlite3"};
  config.exclude = {"production.*", "cache.sqlite3"};
  const Config safety = config_for_safety(config, sample_plan());
  EXPECT_EQ(safety.databases, (std::vector<std::string>{"prod*.sqlite3", "queue[[]1].sqlite3"}));
  EXPECT_EQ(safety.exclude, std::vector<std::string>{"cache.sqlite3"});
}

TEST(RestorePlanTest, JobsThatWouldRunAgainAreNamed) {
  const std::vector<std::string> advice = advice_after(sample_plan());
  EXPECT_TRUE(std::any_of(advice.begin(), advice.end(),
                          [](const std::string& line) { return line.find("12 jobs") != std::string::npos; }));
}

}  // namespace
}  // namespace litepull
