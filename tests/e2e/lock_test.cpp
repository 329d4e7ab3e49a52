// Only one run at a time works on an app, and no lock outlives its run.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "tests/support/pull_fixture.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {

constexpr std::uint64_t kSlowBytesPerS = 500'000;
constexpr Milliseconds kAtOnce{1'000};

// A pull over a link that takes some four seconds for it.
class Lock : public testing::Test {
 protected:
  Lock() : app_(Over::kSsh), proxy_(app_.sshd().port()) {
    app_.reach_through(proxy_.port());
    writer_ = std::make_unique<Child>(
        app_.start_bank("main.sqlite3", "wal", {"--accounts", "10000", "--rate", "20"}));
    EXPECT_EQ(app_.backup().exit_code(), 0);  // the agent is on the server
    proxy_.set_rate(kSlowBytesPerS);
  }

  // Past the point where it has the lock and is busy with the network.
  Child started_backup() {
    Child child = app_.start_backup({"--full"});
    EXPECT_TRUE(eventually([&] { return is_staging(); }));
    return child;
  }

  bool is_staging() const {
    const std::vector<std::string> names = app_.strangers();
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with(".partial-"); });
  }

  PullFixture app_;
  TcpProxy proxy_;
  std::unique_ptr<Child> writer_;
};

TEST_F(Lock, OfTwoRunsAtOnceOneWorksAndTheOtherEndsAtOnce) {
  Child first = started_backup();
  const BackupRun second = app_.backup();
  EXPECT_TRUE(first.running()) << "the first run was over too soon to say anything";
  EXPECT_EQ(second.exit_code(), 5) << second.words();
  EXPECT_LT(second.process.duration, kAtOnce);
  EXPECT_EQ(second.json["exit_code"], 5);
  EXPECT_NE(second.process.err.find("lock"), std::string::npos) << second.words();
  EXPECT_TRUE(is_staging()) << "the second run swept up what the first is working on";
  const BackupRun done = app_.finish_backup(first);
  EXPECT_EQ(done.exit_code(), 0) << done.words();
  EXPECT_EQ(app_.snapshots().size(), 2U);
}

TEST_F(Lock, OfManyRunsAtOnceExactlyOneWorks) {
  const int count = rounds(6, 20);
  std::vector<Child> runs;
  for (int i = 0; i < count; ++i) {
    StartOptions options;
    options.stdout_path = options.stderr_path = app_.scratch("out" + std::to_string(i));
    runs.emplace_back(std::vector<std::string>{built_program("litepull"), "backup", app_.config_path()},
                      options);
  }
  std::vector<int> codes;
  for (Child& run : runs) codes.push_back(run.wait(Milliseconds(120'000)).value_or(ExitStatus{}).code);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), 0), 1);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), 5), count - 1);
  EXPECT_EQ(app_.snapshots().size(), 2U);
  EXPECT_FALSE(is_staging());
}

TEST_F(Lock, OneConfigurationNamedTwiceIsPulledOnce) {
  const ProcessResult both = app_.litepull({"backup", "--json", "-j", "2", app_.config_path()});
  const nlohmann::json results = nlohmann::json::parse(both.out, nullptr, false);
  ASSERT_TRUE(results.is_array()) << both.out << both.err;
  EXPECT_EQ(both.status.code, 5) << both.err;
  EXPECT_EQ(results[0]["exit_code"].get<int>() + results[1]["exit_code"].get<int>(), 5) << both.out;
}

TEST_F(Lock, TheLockGoesWithARunThatIsKilled) {
  Child first = started_backup();
  first.kill(SIGKILL);
  first.wait(Milliseconds(5'000));
  proxy_.set_rate(0);
  const BackupRun next = app_.backup();
  EXPECT_EQ(next.exit_code(), 0) << next.words();
  EXPECT_FALSE(is_staging());
}

TEST_F(Lock, CleanupWaitsForNobodyAndListNeedsNoLock) {
  Child first = started_backup();
  const ProcessResult cleanup = app_.litepull({"cleanup"});
  EXPECT_EQ(cleanup.status.code, 5) << cleanup.err;
  EXPECT_LT(cleanup.duration, kAtOnce);
  const ProcessResult list = app_.litepull({"list"});
  EXPECT_EQ(list.status.code, 0) << list.err;
  EXPECT_TRUE(first.running());
  EXPECT_EQ(app_.finish_backup(first).exit_code(), 0);
}

TEST_F(Lock, AnotherAppIsNotHeldUp) {
  Child first = started_backup();
  PullFixture other(Over::kLocal);
  const Child writer = other.start_bank("main.sqlite3", "wal", {"--rate", "20"});
  other.set("LOCAL_BACKUP_ROOT", app_.workspace());
  other.set("APP_NAME", "other");
  const BackupRun run = other.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_TRUE(first.running());
}

}  // namespace
}  // namespace litepull::test
