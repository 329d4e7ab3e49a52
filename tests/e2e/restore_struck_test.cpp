// Restores to a live server during which a client, an agent or a link dies at any moment. The databases are
// in the old state or the new one, and the next try succeeds.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "tests/e2e/generations.h"
#include "tests/e2e/restore_server_fixture.h"
#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {

// Restores into which something strikes; the app is there all the time, or never.
class Struck : public testing::TestWithParam<const char*> {
 protected:
  explicit Struck(Over over = Over::kLocal) : over_(over), server_(over) {
    server_.make(GetParam(), kRows, kRows);
    before_ = names();
    const auto start = std::chrono::steady_clock::now();
    const RestoreRun run = server_.restore(kArguments, server_.snapshot);
    lasts_ = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    server_.advance(kRows);
  }

  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(server_.app.storage()))
      names.insert(entry.path().filename().string());
    // An agent that is killed in the pull of the safety snapshot leaves the sidecars of a stopped app's
    // database.
    for (const std::string database : {kMain, kOther})
      for (const char* coming_and_going : {"-wal", "-shm", "-journal"})
        names.erase(database + coming_and_going);
    return names;
  }

  Milliseconds random_moment(Milliseconds within) {
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(0, within.count())(random_));
  }

  // What is there must be of one generation, and the one that the exit code says.
  template <typename Strike>
  void disturb(Strike strike) {
    StartOptions options;
    options.env = {{"LITEPULL_TEST_MARK", mark_}};
    options.stdout_path = server_.app.scratch("restore.out");
    options.stderr_path = server_.app.scratch("restore.err");
    fs::remove(options.stderr_path);
    Child client(server_.argv(kArguments, server_.snapshot), options);
    strike(client);
    const auto status = client.wait(Milliseconds(60'000));
    ASSERT_TRUE(status) << "it hangs";
    EXPECT_TRUE(eventually([&] { return agents().empty(); }, Milliseconds(40'000))) << "the agent stays";
    const int generation = generation_of(server_.path());
    const std::string words =
        "exit code " + std::to_string(status->code) + "\n" + read_file(options.stderr_path);
    if (status->code == 0) {
      EXPECT_EQ(generation, 1) << words;
    }
    if (status->code == 1 || status->code == 3) {
      EXPECT_EQ(generation, 2) << words;
    }
    EXPECT_TRUE(status->signal != 0 || std::set<int>({0, 1, 3, 4}).contains(status->code)) << words;
    // Before it listens to signals it has done nothing.
    if (status->signal == SIGINT) {
      EXPECT_EQ(generation, 2) << words;
    }
    EXPECT_EQ(names(), before_);
    ++outcomes_[std::to_string(status->code) + (generation == 1 ? " new" : " old")];
    const RestoreRun next = server_.restore(kArguments, server_.snapshot);
    EXPECT_EQ(next.exit_code(), 0) << next.words();
    EXPECT_EQ(generation_of(server_.path()), 1);
    server_.advance(kRows);
    keep_few_snapshots();
  }

  // That this test has started, on either side of an sshd, and that still live.
  std::vector<pid_t> agents() {
    std::vector<pid_t> pids;
    if (over_ == Over::kSsh) pids = server_.app.sshd().remote_pids();
    for (const ProcessEntry& entry : processes_with_environment("LITEPULL_TEST_MARK=" + mark_))
      if (entry.name.starts_with("litepull-agent")) pids.push_back(entry.pid);
    return pids;
  }

  void keep_few_snapshots() const {
    const std::vector<std::string> all = server_.app.snapshots();
    for (std::size_t i = 1; i + 2 < all.size(); ++i) fs::remove_all(all[i]);
  }

  void TearDown() override {
    for (const auto& [outcome, count] : outcomes_)
      std::printf("  exit %s: %d times\n", outcome.c_str(), count);
  }

  static constexpr int kRows = 6000;
  const std::vector<std::string> kArguments{"--yes", "app", "--database", kMain};
  const Over over_;
  RestoreServer server_;
  const std::string mark_ = server_.app.scratch("mark");
  std::set<std::string> before_;
  Milliseconds lasts_{0};
  std::mt19937_64 random_{std::random_device{}()};
  std::map<std::string, int> outcomes_;
};

TEST_P(Struck, TheClientAtAnyMoment) {
  Traffic traffic(server_.path(), 1, 1);
  for (int i = 0; i < rounds(3, 50); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      client.kill(SIGKILL);
    });
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

TEST_P(Struck, TheAgentAtAnyMoment) {
  Traffic traffic(server_.path(), 1, 1);
  for (int i = 0; i < rounds(3, 50); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      for (const ProcessEntry& entry : descendants_of(client.pid()))
        if (entry.name.starts_with("litepull-agent")) ::kill(entry.pid, SIGKILL);
    });
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

TEST_P(Struck, CtrlCLeavesNothingHalfDone) {
  for (int i = 0; i < rounds(2, 25); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      client.kill(SIGINT);
    });
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, Struck, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

class StruckLink : public Struck {
 protected:
  StruckLink() : Struck(Over::kSsh), proxy_(server_.app.sshd().port()) {
    server_.app.reach_through(proxy_.port());
  }
  TcpProxy proxy_;
};

TEST_P(StruckLink, AtAnyByte) {
  Traffic traffic(server_.path(), 1, 1);
  const std::uint64_t before = proxy_.bytes_up() + proxy_.bytes_down();
  ASSERT_EQ(server_.restore(kArguments, server_.snapshot).exit_code(), 0);
  const std::uint64_t bytes = proxy_.bytes_up() + proxy_.bytes_down() - before;
  server_.advance(kRows);
  std::uniform_int_distribution<std::uint64_t> anywhere(1, bytes), at_the_end(bytes - 3000, bytes + 500);
  for (int i = 0; i < rounds(1, 25); ++i)
    for (const CutMode mode : {CutMode::kFin, CutMode::kReset}) {
      proxy_.cut_after(mode == CutMode::kFin ? anywhere(random_) : at_the_end(random_), mode);
      disturb([&](Child& client) {
        client.wait(Milliseconds(60'000));
        proxy_.cut_after(~std::uint64_t{0} / 2, mode);  // what was not struck must not strike the next try
      });
    }
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

// Each takes a dozen logins.
std::vector<const char*> modes_over_ssh() {
  return rounds(0, 1) == 1 ? std::vector<const char*>{"wal", "delete"} : std::vector<const char*>{"wal"};
}
INSTANTIATE_TEST_SUITE_P(InJournalMode, StruckLink, testing::ValuesIn(modes_over_ssh()),
                         [](const auto& mode) { return std::string(mode.param); });

}  // namespace
}  // namespace litepull::test
