#include "client/base/jobs.h"
#include "client/base/exit_code.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "client/base/progress.h"

namespace litepull {
namespace {

TEST(JobsTest, EveryJobRunsAndNeverMoreAtOnceThanAllowed) {
  Cancel cancel;
  std::atomic<int> running{0}, most{0}, done{0};
  run_jobs(20, 3, cancel, [&](std::size_t) {
    const int now = ++running;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --running;
    ++done;
  });
  EXPECT_EQ(done, 20);
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 2);
}

TEST(JobsTest, ASignalAsksTheJobsToStop) {
  Cancel cancel;
  run_jobs(1, 1, cancel, [&](std::size_t) {
    ::kill(::getpid(), SIGTERM);
    for (int i = 0; i < 500 && !cancel.requested(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  EXPECT_TRUE(cancel.requested());
}

TEST(JobsTest, TheMostSevereExitCodeWins) {
  EXPECT_EQ(worst_exit_code({0, 0}), 0);
  EXPECT_EQ(worst_exit_code({0, 4, 5}), 5);
  EXPECT_EQ(worst_exit_code({4, 2, 3}), 3);
  EXPECT_EQ(worst_exit_code({5, 1, 3}), 1);
}

TEST(ProgressTest, BytesAndTimesReadWell) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1'003'110'400), "1.0 GB");
  EXPECT_EQ(format_bytes(999'960), "1.0 MB");
  EXPECT_EQ(format_duration(4.2), "4.2 s");
  EXPECT_EQ(format_duration(65), "1:05");
  EXPECT_EQ(format_duration(3723), "1:02:03");
}

TEST(ProgressTest, ATerminalThatGoesAwayIsNoReasonToFail) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  Board board(full, true);
  EXPECT_NO_THROW({
    Progress progress(board, "billing");
    progress.begin("a.sqlite3", 100);
    progress.advance(50);
    board.say("a warning");
    progress.finish();
    progress.step("checking");
  });
  std::fclose(full);
}

}  // namespace
}  // namespace litepull
