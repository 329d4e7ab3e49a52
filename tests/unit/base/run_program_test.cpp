#include "client/base/run_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "common/error.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

class RunCommand : public testing::Test {
 protected:
  CommandRun run(const std::string& command, double timeout_s = 30) {
    return run_command(
        {command, dir_.path().string(), {"LITEPULL_TEST=a b", "HOME=/nowhere"}, timeout_s},
        [this](std::string_view text) { output_ += text; }, cancel_);
  }

  // A process that outlived the command would still write here.
  bool something_goes_on() {
    const std::string before = read_file(dir_ / "ticks");
    pause_for(Milliseconds(200));
    return read_file(dir_ / "ticks") != before;
  }

  TempDir dir_;
  Cancel cancel_;
  std::string output_;
};

constexpr const char* kTicksForever = "while :; do echo x >> ticks; sleep 0.02; done";

TEST_F(RunCommand, StatusAndOutputAreTheCommands) {
  const CommandRun run = this->run("echo out; echo err >&2; exit 3");
  EXPECT_EQ(run.status, 3);
  EXPECT_EQ(output_, "out\nerr\n");
  EXPECT_EQ(run.last_lines, "out\nerr\n");
  EXPECT_FALSE(run.timed_out);
  EXPECT_EQ(this->run("true").status, 0);
  EXPECT_EQ(this->run("kill -TERM $$").status, 128 + SIGTERM);
}

TEST_F(RunCommand, WorksInTheDirectoryWithTheVariables) {
  run("pwd -P; echo \"$LITEPULL_TEST|$HOME|${PATH:+path}\"; cat");
  EXPECT_EQ(output_, std::filesystem::canonical(dir_.path()).string() + "\na b|/nowhere|path\n");
}

TEST_F(RunCommand, OnlyTheLastLinesAreKept) {
  const CommandRun run = this->run("seq 1 100000");
  EXPECT_TRUE(output_.starts_with("1\n2\n") && output_.ends_with("\n100000\n"));
  EXPECT_TRUE(run.last_lines.ends_with("\n99999\n100000\n"));
  EXPECT_LE(std::count(run.last_lines.begin(), run.last_lines.end(), '\n'), 20);
}

TEST_F(RunCommand, TakingTooLongEndsItWithAllItStarted) {
  const CommandRun run = this->run(std::string("(") + kTicksForever + ") & wait", 0.3);
  EXPECT_TRUE(run.timed_out);
  EXPECT_EQ(run.status, 128 + SIGKILL);
  EXPECT_LT(run.seconds, 5);
  EXPECT_FALSE(something_goes_on());
}

TEST_F(RunCommand, WhatItLeavesInTheBackgroundEndsWithIt) {
  const CommandRun run = this->run(std::string("(") + kTicksForever + ") & sleep 0.2");
  EXPECT_EQ(run.status, 0);
  EXPECT_LT(run.seconds, 5);
  EXPECT_FALSE(something_goes_on());
}

TEST_F(RunCommand, IsKilledWhenItIsCancelled) {
  std::thread soon([this] {
    pause_for(Milliseconds(200));
    cancel_.request();
  });
  EXPECT_THROW(run(kTicksForever), Error);
  soon.join();
  EXPECT_FALSE(something_goes_on());
}

TEST_F(RunCommand, IsNotKeptFromEndingByWhatItLeftBehindAndWritesOn) {
  EXPECT_EQ(run("setsid sh -c 'while echo on and on; do :; done' & exit 3").status, 3);
}

TEST(RunOnTerminal, MissingProgramIsAnErrorWithTheHint) {
  const Cancel cancel;
  try {
    run_on_terminal({"no-such-program-anywhere"}, "install it", cancel);
    FAIL() << "it was started";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "install it");
  }
}

TEST(RunOnTerminal, StatusIsPassedOnAndCancelEndsIt) {
  Cancel cancel;
  EXPECT_EQ(run_on_terminal({"sh", "-c", "exit 9"}, "", cancel), 9);
  cancel.request();
  EXPECT_EQ(run_on_terminal({"sleep", "60"}, "", cancel), 128 + SIGTERM);
}

}  // namespace
}  // namespace litepull::test
