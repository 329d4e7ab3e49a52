// Pulls from a server while apps write. Each database is one committed state, all databases are of one
// moment, and an app can go on with the files.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/bank_oracle.h"
#include "tests/support/pair_oracle.h"
#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

// A bank grows by every commit; a fresh one now and then keeps the check of a long run short.
constexpr int kPullsOfOneBank = 10;

void expect_good(const BackupRun& run) {
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  for (const auto& database : run.json["databases"]) EXPECT_EQ(database["verified"], "ok") << run.words();
}

class BusyBank : public testing::TestWithParam<const char*> {};

// Only the pull is timed by the writer; checking what was pulled may take its time.
void pull_and_check(const PullFixture& app, const std::string& name, std::uint64_t& commits_during) {
  const std::uint64_t acknowledged = read_ack(app.ack_path(name));
  const BackupRun run = app.backup();
  commits_during += read_ack(app.ack_path(name)) - acknowledged;
  expect_good(run);
  if (testing::Test::HasFatalFailure()) return;
  const BankReport report = check_bank(run.file(name), acknowledged);
  EXPECT_EQ(report.failure, "") << run.words();
  EXPECT_GE(report.counter, static_cast<std::int64_t>(acknowledged));
  fs::remove_all(run.snapshot());
}

TEST_P(BusyBank, IsPulledAsOneCommittedStateWithEveryAcknowledgedCommit) {
  const std::string mode = GetParam();
  PullFixture app(Over::kSsh);
  const int pulls = rounds(8, 100);
  std::uint64_t commits_during = 0;
  for (int done = 0; done < pulls;) {
    const std::string name = "bank" + std::to_string(done) + ".sqlite3";
    Child writer = app.start_bank(name, mode);
    for (int i = 0; i < kPullsOfOneBank && done < pulls; ++i, ++done) {
      pull_and_check(app, name, commits_during);
      if (HasFailure()) FAIL() << "in pull " << done + 1 << " of " << pulls;
      ASSERT_TRUE(writer.running());
    }
    EXPECT_EQ(writer.stop().code, 0);
    fs::remove(app.in_storage(name));
  }
  EXPECT_GT(commits_during, static_cast<std::uint64_t>(pulls)) << "the writer hardly wrote";
  std::printf("%s: %d of %d pulls good, %.0f commits during a pull\n", mode.c_str(), pulls, pulls,
              static_cast<double>(commits_during) / pulls);
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, BusyBank, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

class BusyPair : public testing::TestWithParam<const char*> {};

// Databases whose turn comes between the two of the pair: pinned one after the other, the pair would be a
// millisecond apart, which is many of its commits.
void add_bystanders(const PullFixture& app) {
  app.make_bank("m0.sqlite3", "wal", {"--accounts=10"});
  for (int i = 1; i < 16; ++i)
    fs::copy_file(app.in_storage("m0.sqlite3"), app.in_storage("m" + std::to_string(i) + ".sqlite3"));
}

TEST_P(BusyPair, IsPulledAsOneMoment) {
  const std::string mode = GetParam();
  PullFixture app(Over::kSsh);
  add_bystanders(app);
  Child writer = app.start_pair("a.sqlite3", "z.sqlite3", mode);
  const int pulls = rounds(10, 100);
  int ahead = 0;
  double worst_lock_hold_ms = 0;
  for (int i = 0; i < pulls; ++i) {
    const std::uint64_t acknowledged = read_ack(app.ack_path("a.sqlite3"));
    const BackupRun run = app.backup();
    expect_good(run);
    ASSERT_FALSE(HasFailure()) << "in pull " << i + 1;
    EXPECT_EQ(run.json["set_consistency"], "barrier") << run.words();
    EXPECT_EQ(run.json["skew_ms"], 0.0);
    const PairReport report = check_pair(run.file("a.sqlite3"), run.file("z.sqlite3"), acknowledged);
    ASSERT_EQ(report.failure, "") << "in pull " << i + 1;
    ahead += report.a > report.b ? 1 : 0;
    worst_lock_hold_ms = std::max(worst_lock_hold_ms, run.json["lock_hold_ms"].get<double>());
    fs::remove_all(run.snapshot());
    ASSERT_TRUE(writer.running());
  }
  EXPECT_EQ(writer.stop().code, 0);
  std::printf("%s: %d pulls, A ahead of B in %d, writers held for %.1f ms at most\n", mode.c_str(), pulls,
              ahead, worst_lock_hold_ms);
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, BusyPair, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST(Snapshot, HoldsRowsThatAreOnlyInTheWal) {
  PullFixture app(Over::kSsh);
  Child writer = app.start_bank("bank.sqlite3", "wal", {"--wal-autocheckpoint=0", "--rate=300"});
  ASSERT_TRUE(eventually([&] { return read_ack(app.ack_path("bank.sqlite3")) >= 20; }));
  const std::string alone = app.scratch("without-its-wal.sqlite3");
  fs::copy_file(app.in_storage("bank.sqlite3"), alone);
  ASSERT_NE(check_bank(alone, 1).failure, "") << "the rows were not only in the WAL";

  const std::uint64_t acknowledged = read_ack(app.ack_path("bank.sqlite3"));
  const BackupRun run = app.backup();
  ASSERT_TRUE(writer.running());
  expect_good(run);
  EXPECT_EQ(check_bank(run.file("bank.sqlite3"), acknowledged).failure, "");
  EXPECT_GT(run.database("bank.sqlite3")["wal_bytes_before"], 0);
}

class OpenUmask {  // what a careless login shell may leave
 public:
  OpenUmask() : before_(umask(0)) {}
  ~OpenUmask() { umask(before_); }

 private:
  mode_t before_;
};

TEST(Snapshot, IsPrivateAndHasNoSidecars) {
  PullFixture app(Over::kSsh);
  app.set("DATABASES", "**/*.sqlite3");
  fs::create_directory(app.in_storage("tenants"));
  Child first = app.start_bank("bank.sqlite3", "wal", {"--rate=300"});
  Child second = app.start_bank("tenants/one.sqlite3", "wal", {"--rate=300"});
  const OpenUmask careless;
  const BackupRun run = app.backup();
  expect_good(run);

  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(app.workspace())) {
    const auto mode = static_cast<unsigned>(entry.status().permissions());
    EXPECT_EQ(mode, entry.is_directory() ? 0700U : 0600U) << entry.path();
  }
  for (const auto& entry : fs::recursive_directory_iterator(run.snapshot()))
    if (!entry.is_directory()) files.push_back(entry.path().lexically_relative(run.snapshot()).string());
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, (std::vector<std::string>{".hashes/bank.sqlite3", ".hashes/tenants/one.sqlite3",
                                             "bank.sqlite3", "manifest.json", "tenants/one.sqlite3"}));
}

TEST(Snapshot, IsCheckedWhileItsNextDatabaseIsOnTheWay) {
  PullFixture app(Over::kSsh);
  app.make_bank("a.sqlite3", "wal", {"--accounts=20000"});
  app.make_bank("b.sqlite3", "wal", {"--accounts=200000"});
  TcpProxy proxy(app.sshd().port());
  app.reach_through(proxy.port());
  expect_good(app.backup({"--verify=quick"}));  // the agent is on the server
  proxy.set_rate(3'000'000);
  Child client = app.start_backup({"--full"});
  const auto is_checking = [&] {
    const std::vector<ProcessEntry> children = descendants_of(client.pid());
    return !children.empty() && app.snapshots().size() == 1;
  };
  EXPECT_TRUE(eventually([&] { return is_checking() || !client.running(); }));
  EXPECT_TRUE(client.running()) << "it was not seen to check anything before the end";
  EXPECT_FALSE(app.sshd().remote_pids().empty()) << "the pull was over when checking began";
  expect_good(app.finish_backup(client));
}

TEST(Snapshot, IsADatabaseThatAnAppGoesOnWithInWalMode) {
  PullFixture app(Over::kSsh);
  Child writer = app.start_bank("bank.sqlite3", "wal");
  const BackupRun run = app.backup();
  expect_good(run);
  writer.stop();

  fs::remove(app.in_storage("bank.sqlite3"));
  fs::copy_file(run.file("bank.sqlite3"), app.in_storage("bank.sqlite3"));
  {
    SQLite::Database restored(app.in_storage("bank.sqlite3"), SQLite::OPEN_READWRITE);
    EXPECT_EQ(restored.execAndGet("PRAGMA journal_mode").getString(), "wal");
  }
  const std::int64_t before = check_bank(app.in_storage("bank.sqlite3"), 0).counter;
  Child again = app.start_bank("bank.sqlite3", "wal");
  EXPECT_EQ(again.stop().code, 0);
  const BankReport report = check_bank(app.in_storage("bank.sqlite3"), 0);
  EXPECT_EQ(report.failure, "");
  EXPECT_GT(report.counter, before);
}

}  // namespace
}  // namespace litepull::test
