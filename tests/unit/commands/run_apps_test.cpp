#include "client/commands/run_apps.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;

class RunAppsTest : public ::testing::Test {
 protected:
  std::string config(const std::string& app) {
    const std::string path = directory_ / (app + ".env");
    test::write_file(path, "APP_NAME=" + app + "\nLOCAL_BACKUP_ROOT=" + (directory_ / "backups") +
                               "\nSERVER_USER=deploy\nSERVER_HOST=example.com\nREMOTE_BACKUP_DIR=/srv\n");
    return path;
  }

  ManyAppsOptions options(const std::vector<std::string>& configs, bool json = false) {
    ManyAppsOptions options;
    options.environment = {{"HOME", directory_.path().string()}};
    options.json = json;
    options.configs = configs;
    return options;
  }

  // What `call` prints to stdout and stderr stays here.
  int captured(const std::function<int()>& call) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = call();
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  test::TempDir directory_;
  std::string out_, err_;
};

AppResult good(const AppContext& run) {
  return {{{"app", run.config.app_name}, {"exit_code", 0}}, 0};
}

TEST_F(RunAppsTest, AnAppThatFailsDoesNotKeepTheOthersFromTheirTurn) {
  std::vector<std::string> seen;
  const int code = captured([&] {
    return run_apps(options({config("one"), config("two"), config("three")}), OnSignal::kEnd,
                    [&](const AppContext& run) {
                      seen.push_back(run.config.app_name);
                      if (seen.size() == 2) throw Error(ErrorKind::kBusy, "it is busy", "wait for it");
                      return good(run);
                    });
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(code, 5);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(err_, "litepull: error: two: it is busy\n  wait for it\n");
}

TEST_F(RunAppsTest, AConfigurationThatCannotBeReadIsNamedByItsPath) {
  const std::string missing = directory_ / "missing.env";
  const int code = captured([&] {
    return run_apps(options({missing, config("two")}, true), OnSignal::kEnd, good);
  });
  EXPECT_EQ(code, 2);
  const Json document = Json::parse(out_);
  ASSERT_EQ(document.size(), 2U);
  EXPECT_EQ(document[0]["app"], missing);
  EXPECT_EQ(document[0]["exit_code"], 2);
  EXPECT_NE(document[0]["error"]["message"], "");
  EXPECT_EQ(document[1], (Json{{"app", "two"}, {"exit_code", 0}}));
  EXPECT_NE(err_.find("litepull: error: " + missing + ": "), std::string::npos) << err_;
}

TEST_F(RunAppsTest, TheMostSevereExitCodeIsThatOfTheCommand) {
  const auto code_of = [&](OnSignal on_signal) {
    return captured([&] {
      return run_apps(options({config("one"), config("two")}), on_signal, [](const AppContext& run) {
        return AppResult{{}, run.config.app_name == "one" ? 4 : 0};
      });
    });
  };
  EXPECT_EQ(code_of(OnSignal::kEnd), 4);
  EXPECT_EQ(code_of(OnSignal::kCancel), 4);
}

TEST_F(RunAppsTest, WhatIsNoErrorOfOursIsReportedToo) {
  OneAppOptions one;
  one.environment = {{"HOME", directory_.path().string()}};
  one.config = config("one");
  const int code = captured([&] {
    return run_app(one, OnSignal::kCancel,
                   [](const AppContext&) -> AppResult { throw std::runtime_error("a library's"); });
  });
  EXPECT_EQ(code, 1);
  EXPECT_EQ(err_, "litepull: error: one: a library's\n");
}

TEST_F(RunAppsTest, ASignalRequestsToStopTheWorkThatCanBeStopped) {
  const int code = captured([&] {
    return run_apps(options({config("one")}), OnSignal::kCancel, [](const AppContext& run) -> AppResult {
      ::kill(::getpid(), SIGTERM);
      for (int i = 0; i < 100 && !run.cancel.requested(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      run.cancel.throw_if_requested();
      return good(run);
    });
  });
  EXPECT_EQ(code, 1);
  EXPECT_EQ(err_, "litepull: error: one: stopped on request\n");
}

TEST(WhileStoppableTest, ThrowsWhatTheWorkThrows) {
  Cancel cancel;
  EXPECT_THROW(while_stoppable(cancel, [] { throw Error(ErrorKind::kPeer, "no"); }), Error);
  bool done = false;
  while_stoppable(cancel, [&] { done = true; });
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace litepull
