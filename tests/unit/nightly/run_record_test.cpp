#include "client/nightly/run_record.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "client/base/clock.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

constexpr std::int64_t kNowMs = 1'795'309'200'000;

RunRecord failed_run() {
  RunRecord record = begun_after(std::nullopt, kNowMs, 4711);
  end_run(record, kNowMs + 5000, 3, "could not connect: \"timed\nout\" \x1b[2J", "");
  return record;
}

TEST(RunRecord, IsReadAsItWasWritten) {
  EXPECT_EQ(parse_run_record(to_json_text(failed_run())), failed_run());
  const RunRecord begun = begun_after(failed_run(), kNowMs + 9000, 4712);
  EXPECT_EQ(parse_run_record(to_json_text(begun)), begun);
  EXPECT_FALSE(begun.ended());
}

TEST(RunRecord, AFailureIsRememberedAfterAGoodRun) {
  RunRecord record = begun_after(failed_run(), kNowMs + 9000, 4712);
  EXPECT_TRUE(record.after_failure);
  end_run(record, kNowMs + 10'000, 0, "", "2026-11-22T020000+0100");
  EXPECT_TRUE(record.good());
  ASSERT_TRUE(record.last_failure);
  EXPECT_EQ(record.last_failure->exit_code, 3);
  EXPECT_FALSE(begun_after(record, kNowMs + 20'000, 1).after_failure);
}

TEST(RunRecord, OneThatWasInterruptedSaysNothingAboutFailure) {
  for (const bool after_failure : {false, true}) {
    RunRecord record = begun_after(after_failure ? std::optional(failed_run()) : std::nullopt, kNowMs, 1);
    end_run(record, kNowMs + 5000, kExitInterrupted, "interrupted", "");
    EXPECT_EQ(parse_run_record(to_json_text(record)), record);
    EXPECT_FALSE(record.good());
    EXPECT_EQ(record.failing(), after_failure);
    EXPECT_EQ(record.last_failure.has_value(), after_failure);
    EXPECT_EQ(begun_after(record, kNowMs + 9000, 2).after_failure, after_failure);
  }
}

TEST(RunRecord, OneThatNeverEndedIsAFailureToTheNext) {
  const RunRecord next = begun_after(begun_after(std::nullopt, kNowMs, 1), kNowMs + 9000, 2);
  EXPECT_TRUE(next.after_failure);
  ASSERT_TRUE(next.last_failure);
  EXPECT_EQ(next.last_failure->at, rfc3339_utc(kNowMs));
  EXPECT_FALSE(next.last_failure->exit_code);
}

TEST(RunRecord, WhatIsNoRecordIsNone) {
  const std::string good = to_json_text(failed_run());
  for (std::size_t length = 0; length + 2 < good.size(); length += 7)
    EXPECT_FALSE(parse_run_record(good.substr(0, length))) << length;
  for (const char* text : {"", "[]", "{}", "null", R"({"format":2,"started_at":"2026-11-22T01:00:00.000Z"})",
                           R"({"format":1,"started_at":7})", R"({"format":1,"started_at":"yesterday"})",
                           R"({"format":1,"started_at":"2026-11-22T01:00:00.000Z","ended_at":"x"})"})
    EXPECT_FALSE(parse_run_record(text)) << text;
}

class RecordFile : public testing::Test {
 protected:
  std::string path() const { return dir_ / "billing/.last-run.json"; }

  TempDir dir_;
  const Store store_{dir_.path().string(), "billing", Store::Missing::kCreate};
};

TEST_F(RecordFile, IsReplacedAndPrivate) {
  EXPECT_FALSE(read_run_record(store_));
  write_file(path() + ".new", "of a run that was killed");
  const AppLock lock = store_.lock();
  store_.write_record(lock, to_json_text(begun_after(std::nullopt, kNowMs, 1)));
  store_.write_record(lock, to_json_text(failed_run()));
  EXPECT_EQ(read_run_record(store_), failed_run());
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms(0600));
  EXPECT_FALSE(fs::exists(path() + ".new"));
}

TEST_F(RecordFile, IsNoSnapshotAndNoSweepTakesIt) {
  const AppLock lock = store_.lock();
  store_.write_record(lock, to_json_text(failed_run()));
  const Listing listing = store_.list();
  EXPECT_TRUE(listing.snapshots.empty());
  EXPECT_TRUE(listing.strangers.empty());
  EXPECT_TRUE(store_.sweep(lock).removed.empty());
  EXPECT_THROW(store_.remove_snapshot(lock, ".last-run.json"), Error);
  EXPECT_EQ(read_run_record(store_), failed_run());
}

TEST_F(RecordFile, WhatElseHasItsNameIsNoRecordAndStaysUnread) {
  write_file(dir_ / "elsewhere", to_json_text(failed_run()));
  std::filesystem::create_symlink(dir_ / "elsewhere", path());
  EXPECT_FALSE(read_run_record(store_));
  std::filesystem::remove(path());
  write_file(path(), std::string(1 << 20, ' ') + to_json_text(failed_run()));
  EXPECT_FALSE(read_run_record(store_));
}

TEST_F(RecordFile, TheLockTellsWhoHasIt) {
  EXPECT_FALSE(store_.lock_holder());
  {
    const AppLock lock = store_.lock();
    EXPECT_EQ(store_.lock_holder(), std::to_string(::getpid()));
  }
  EXPECT_FALSE(store_.lock_holder());
  store_.lock();  // looking does not keep it from anybody
}

}  // namespace
}  // namespace litepull::test
