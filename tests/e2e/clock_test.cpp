// Clocks that are wrong. No snapshot is lost to them, and words such as `latest` mean what a person
// expects.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <set>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kDayS = 86'400;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string name_of(std::time_t unix_s) {
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H%M%S+0000", std::gmtime(&unix_s))};
}

class Clock : public testing::Test {
 protected:
  Clock() {
    SQLite::Database database(app_.in_storage("main.sqlite3"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("CREATE TABLE t(v); INSERT INTO t VALUES('first')");
  }

  void set(const std::string& value) {
    SQLite::Database(app_.in_storage("main.sqlite3"), SQLite::OPEN_READWRITE)
        .exec("UPDATE t SET v='" + value + "'");
  }

  // litepull, whose clock is so many days off.
  ProcessResult run_at(std::int64_t days, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), built_program("litepull"));
    arguments.insert(arguments.begin() + 2, app_.config_path());
    RunOptions options;
    if (days != 0)
      options.env = {{"LD_PRELOAD", built_program("shift_clock.so")},
                     {"LITEPULL_TEST_SHIFT_S", std::to_string(days * kDayS)}};
    return run(arguments, options);
  }
  nlohmann::json json_at(std::int64_t days, std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    return nlohmann::json::parse(run_at(days, arguments).out, nullptr, false);
  }
  std::string opened(const std::string& word, std::int64_t days = 0) const {
    return run_at(days, {"open", word, "main", "--", "SELECT v FROM t"}).out;
  }

  std::string newest() const { return fs::path(app_.snapshots().back()).filename(); }

  // Snapshots as if one had been made on each of these days ago.
  void make_nights(std::int64_t newest_days, std::int64_t count) {
    const BackupRun run = app_.backup();
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    const std::int64_t now_s = std::time(nullptr) - 1;
    nlohmann::json manifest = nlohmann::json::parse(read_file(run.snapshot() + "/manifest.json"));
    manifest["format"] = 1;  // which has no checksum
    manifest.erase("checksum");
    std::set<std::string> copied;
    for (std::int64_t days = newest_days; days < newest_days + count; ++days) {
      const std::string name = name_of(now_s - days * kDayS);
      const std::string path = app_.app_directory() + "/" + name;
      copied.insert(path);
      if (path != run.snapshot()) fs::copy(run.snapshot(), path, fs::copy_options::recursive);
      manifest["snapshot"] = name;
      manifest["order"] = now_s - days * kDayS;
      write_file(path + "/manifest.json", manifest.dump(2));
    }
    if (!copied.contains(run.snapshot())) fs::remove_all(run.snapshot());
  }

  std::size_t count() const { return app_.snapshots().size(); }

  PullFixture app_{Over::kLocal};
};

TEST_F(Clock, ThatWasOnceAYearAheadIsForgottenWithTheNextRun) {
  ASSERT_EQ(run_at(365, {"backup", "--quiet"}).status.code, 0);
  const std::string future = newest();
  for (const char* value : {"yesterday", "today"}) {
    set(value);
    ASSERT_EQ(app_.backup().exit_code(), 0);
  }
  for (const char* word : {"latest", "latest-verified", "1"}) EXPECT_EQ(opened(word), "today\n") << word;
  EXPECT_EQ(opened("2"), "yesterday\n");
  EXPECT_EQ(run_at(0, {"verify", "3"}).status.code, 2);
  EXPECT_EQ(opened(future), "first\n");
  EXPECT_TRUE(contains(app_.litepull({"list"}).out, "  -  " + future));
  EXPECT_NE(json_at(0, {"status"})["newest_good"]["name"], future);
  // And what is over is no reason to keep everything: that run knew that the clocks differed.
  app_.set("KEEP_LAST", "1");
  EXPECT_EQ(json_at(0, {"cleanup"})["removed"].size(), 1U);
}

TEST_F(Clock, WhatWasTakenLastAndIsFromTheFutureIsNotPassedOverInSilence) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  set("later");
  ASSERT_EQ(run_at(365, {"backup", "--quiet"}).status.code, 0);
  const std::string future = newest();
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"open", "latest", "main", "--", "SELECT v FROM t"},
                                             {"verify"},
                                             {"pin", "latest"},
                                             {"restore", "latest", "--to", app_.scratch("to")},
                                             {"restore", "latest", "--to-server", "--dry-run"}}) {
    const ProcessResult result = run_at(0, command);
    EXPECT_EQ(result.status.code, 0) << result.err;
    EXPECT_TRUE(contains(result.err, future + " was taken after it and is from the future")) << result.err;
  }
  EXPECT_EQ(opened("latest"), "first\n");
  EXPECT_EQ(opened(future), "later\n");
}

TEST_F(Clock, ThatIsAYearBehindLeavesNoWordAMeaning) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  for (const char* word : {"latest", "latest-verified", "1"}) {
    const ProcessResult result = run_at(-365, {"restore", word, "--to-server", "--yes", "app"});
    EXPECT_EQ(result.status.code, 2);
    EXPECT_TRUE(contains(result.err, "set this machine's clock if it is wrong")) << result.err;
  }
  EXPECT_EQ(opened(newest(), -365), "first\n");
}

TEST_F(Clock, ThatJumpsRemovesNothingWhateverTheCommand) {
  make_nights(0, 10);
  ASSERT_EQ(count(), 10U);
  for (const std::int64_t days : {2, 40, 365, 3650, -2, -40, -365}) {
    const ProcessResult dry = run_at(days, {"cleanup", "--dry-run"});
    const ProcessResult cleanup = run_at(days, {"cleanup"});
    EXPECT_EQ(cleanup.status.code, 0) << cleanup.err;
    EXPECT_EQ(count(), 10U) << "a clock that is off by " << days << " days";
    if (days > 0) {
      EXPECT_TRUE(contains(cleanup.err, "nothing was removed: this machine's clock says")) << cleanup.err;
      EXPECT_EQ(cleanup.err, dry.err) << "a dry run says the same";
    }
    const ProcessResult backup = run_at(days, {"backup", "--quiet"});
    EXPECT_EQ(backup.status.code, 0) << backup.err;
    EXPECT_EQ(count(), 11U);
    for (const std::string& path : app_.snapshots())
      if (nlohmann::json::parse(read_file(path + "/manifest.json"))["clock_difference_ms"]
                  .get<std::int64_t>() /
              1000 / kDayS !=
          0)
        fs::remove_all(path);
  }
}

TEST_F(Clock, AfterMonthsWithoutARunNothingIsRemovedUntilTheRunAfterTheNext) {
  make_nights(90, 6);
  const ProcessResult by_hand = run_at(0, {"cleanup"});
  EXPECT_TRUE(contains(by_hand.err, "there was no snapshot for 90 days")) << by_hand.err;
  EXPECT_TRUE(contains(by_hand.err, "litepull cleanup --yes")) << by_hand.err;
  EXPECT_EQ(count(), 6U);
  const BackupRun first = app_.backup();
  EXPECT_EQ(first.exit_code(), 0);
  EXPECT_TRUE(contains(first.json["note"], "nothing was removed")) << first.words();
  EXPECT_EQ(count(), 7U);
  const BackupRun second = app_.backup();
  EXPECT_EQ(second.json["removed"].size(), 4U) << second.words();
  EXPECT_TRUE(contains(second.json["note"], "2 more")) << second.words();
  EXPECT_EQ(app_.backup().json["removed"].size(), 2U);
}

TEST_F(Clock, NoRunRemovesMoreThanHalfUntilAPersonSaysSo) {
  make_nights(0, 12);
  app_.set("KEEP_LAST", "1");
  const nlohmann::json dry = json_at(0, {"cleanup", "--dry-run"});
  EXPECT_EQ(count(), 12U);
  const nlohmann::json half = json_at(0, {"cleanup"});
  EXPECT_EQ(half["removed"].size(), 6U) << half;
  EXPECT_EQ(half["decisions"], dry["decisions"]);
  EXPECT_TRUE(contains(half["note"], "5 more")) << half;
  const ProcessResult all = run_at(0, {"cleanup", "--yes"});
  EXPECT_EQ(all.status.code, 0);
  EXPECT_EQ(all.err, "");
  EXPECT_EQ(count(), 1U);
}

}  // namespace
}  // namespace litepull::test
