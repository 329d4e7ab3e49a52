// Processes and links that die at any moment of a pull. Every snapshot is complete, earlier ones are
// unchanged, nothing is left behind on either side, and writers go on.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/scratch_copy.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kPullBytesPerS = 25'000'000;
constexpr std::uint64_t kUploadBytesPerS = 4'000'000;
constexpr Milliseconds kServerIsClean{60'000};
constexpr std::size_t kSnapshotsKept = 3;

Milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
}

class Kill : public testing::Test {
 protected:
  Kill() : app_(Over::kSsh), proxy_(app_.sshd().port()) {
    app_.reach_through(proxy_.port());
    for (const auto& [name, mode, options] : kDatabases)
      writers_.push_back(app_.start_bank(name, mode, options));
    const BackupRun first = app_.backup();  // uploads the agent
    EXPECT_EQ(first.exit_code(), 0) << first.words();
    storage_before_ = names_and_owners(app_.storage());
    cache_before_ = files_on_the_server();
    EXPECT_EQ(cache_before_.size(), 1U);
    remember_snapshots();
  }

  void TearDown() override {
    if (struck_ > 0)
      std::printf(
          "  %d struck in time, %d published all the same, server clean after %lld ms at most, the "
          "app's next commits after %lld ms at most\n",
          struck_, published_, static_cast<long long>(slowest_clean_.count()),
          static_cast<long long>(slowest_commits_.count()));
  }

  // How long an undisturbed pull takes at this rate, and how much of that the agent is there.
  void measure_pull() {
    proxy_.set_rate(kPullBytesPerS);
    const Clock::time_point start = Clock::now();
    Child client = app_.start_backup({"--full"});
    EXPECT_TRUE(eventually([&] { return agent_runs(); }));
    const Milliseconds agent_comes = since(start);
    EXPECT_TRUE(eventually([&] { return !agent_runs(); }, Milliseconds(30'000)));
    agent_goes_ = since(start);
    agent_lasts_ = agent_goes_ - agent_comes;
    EXPECT_EQ(app_.finish_backup(client).exit_code(), 0);
    client_lasts_ = since(start);
    remember_snapshots();
  }

  Milliseconds random_moment(Milliseconds within) {
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(0, within.count())(random_));
  }

  bool agent_runs() { return !app_.sshd().agent_pids().empty(); }

  std::set<std::string> files_on_the_server() {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(app_.sshd().remote_cache()))
      if (!entry.is_directory()) names.insert(entry.path().filename().string());
    return names;
  }

  bool is_staging() const {
    const std::vector<std::string> names = app_.strangers();
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with(".partial-"); });
  }

  // What a snapshot that appears from now on must hold.
  void remember_commits() {
    for (const auto& [name, mode, options] : kDatabases) acknowledged_[name] = read_ack(app_.ack_path(name));
  }

  void remember_snapshots() {
    std::vector<std::string> paths = app_.snapshots();
    for (; paths.size() > kSnapshotsKept; paths.erase(paths.begin())) fs::remove_all(paths.front());
    fingerprints_.clear();
    for (const std::string& path : paths) fingerprints_[path] = fingerprint(path);
  }

  // The workstation, whatever happened.
  void expect_sound_snapshots() {
    const std::vector<std::string> paths = app_.snapshots();
    for (const auto& [path, before] : fingerprints_)
      EXPECT_EQ(fs::exists(path) ? fingerprint(path) : "gone", before) << path;
    for (const std::string& path : paths) {
      if (fingerprints_.contains(path)) continue;
      EXPECT_EQ(why_not_whole(path), "");
      for (const auto& [name, commit] : acknowledged_)
        EXPECT_EQ(check_bank(path + "/" + name, commit).failure, "") << path << "/" << name;
    }
  }

  // The server, a while after whatever happened.
  void expect_clean_server(const std::set<std::string>& files) {
    const Clock::time_point start = Clock::now();
    EXPECT_TRUE(eventually([&] { return app_.sshd().remote_pids().empty(); }, kServerIsClean));
    slowest_clean_ = std::max(slowest_clean_, since(start));
    for (const std::string& name : files_on_the_server())
      EXPECT_TRUE(files.contains(name)) << name << " was left on the server";
    EXPECT_EQ(names_and_owners(app_.storage()), storage_before_);
  }

  void expect_writers_go_on() const {
    for (const auto& [name, mode, options] : kDatabases) {
      if (name == kIdle) continue;
      const std::string path = app_.ack_path(name);
      const std::uint64_t before = read_ack(path);
      EXPECT_TRUE(eventually([&] { return read_ack(path) > before; })) << name << " is locked";
    }
  }

  // Whoever died, the app is not made to wait for a lock of theirs. In the long form, which has the machine
  // for itself, no longer than a second.
  void expect_commits_soon() {
    const Clock::time_point start = Clock::now();
    for (const auto& [name, mode, options] : kDatabases) {
      if (name == kIdle) continue;
      const std::uint64_t before = read_ack(app_.ack_path(name));
      EXPECT_TRUE(eventually([&] { return read_ack(app_.ack_path(name)) > before; },
                             Milliseconds(rounds(5'000, 1'000)) - since(start)))
          << name << " is locked";
    }
    slowest_commits_ = std::max(slowest_commits_, since(start));
  }

  void expect_next_run_succeeds() {
    proxy_.set_rate(0);
    remember_commits();
    remember_snapshots();
    const BackupRun next = app_.backup();
    EXPECT_EQ(next.exit_code(), 0) << next.words();
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
    expect_sound_snapshots();
    remember_snapshots();
  }

  // One run into which `strike` goes; the client's exit codes that are honest then are `allowed`. Every third
  // pulls only what changed, which takes a moment.
  template <typename Strike>
  void disturb(std::uint64_t rate, Strike strike, const std::set<int>& allowed) {
    const bool full = always_full_ || ++disturbed_ % 3 != 0;
    proxy_.set_rate(rate);
    remember_commits();
    const std::size_t before = app_.snapshots().size();
    Child client = app_.start_backup(full ? std::vector<std::string>{"--full"} : std::vector<std::string>{});
    strike(client);
    const BackupRun run = app_.finish_backup(client, Milliseconds(60'000));
    const bool killed = run.process.status.signal == SIGKILL;
    const std::size_t published = app_.snapshots().size() - before;
    EXPECT_TRUE(killed || allowed.contains(run.exit_code())) << run.words();
    if (!killed) {
      EXPECT_EQ(published, run.exit_code() == 0 || run.exit_code() == 4 ? 1U : 0U) << run.words();
    }
    if (published == 1) {
      EXPECT_FALSE(is_staging()) << run.words();
    }
    published_ += static_cast<int>(published);
    struck_ += run.exit_code() == 0 ? 0 : 1;
    expect_clean_server(cache_before_);
    expect_writers_go_on();
    expect_sound_snapshots();
    expect_next_run_succeeds();
  }

  void strike_client(Child& client, Milliseconds within, int signal = SIGKILL) {
    pause_for(random_moment(within));
    if (client.running()) client.kill(signal);
  }

  void strike_agent(Child& client) {
    EXPECT_TRUE(eventually([&] { return agent_runs() || !client.running(); }));
    pause_for(random_moment(agent_lasts_ * 9 / 10));
    for (const pid_t pid : app_.sshd().agent_pids()) ::kill(pid, SIGKILL);
    expect_commits_soon();
  }

  void strike_sshd(Child& client, Milliseconds within) {
    EXPECT_TRUE(eventually([&] { return !app_.sshd().session_pids().empty() || !client.running(); }));
    pause_for(random_moment(within));
    app_.sshd().kill_session_processes(SIGKILL);
    expect_commits_soon();
  }

  // With a configuration and a workspace of its own, over the same link.
  Child start_pull_of_another_app(int number) const {
    const std::string own = app_.scratch("app" + std::to_string(number) + ".env");
    std::string text = read_file(app_.config_path());
    text += "APP_NAME=app" + std::to_string(number) + "\n";
    write_file(own, text);
    StartOptions options;
    options.stdout_path = options.stderr_path = "/dev/null";
    return Child({built_program("litepull"), "backup", "--full", own}, options);
  }

  struct Database {
    const char* name;
    const char* journal_mode;
    std::vector<std::string> options;
  };
  static constexpr const char* kIdle = "idle.sqlite3";
  // A large busy one, one that locks its readers out, and one that an app just keeps open.
  const std::vector<Database> kDatabases{
      {"busy.sqlite3", "wal", {"--accounts", "100000", "--rate", "50"}},
      {"rollback.sqlite3", "delete", {"--accounts", "10000", "--rate", "20"}},
      {kIdle, "wal", {"--rate", "0.02"}}};

  PullFixture app_;
  TcpProxy proxy_;
  std::vector<Child> writers_;
  std::mt19937_64 random_{std::random_device{}()};
  Milliseconds agent_lasts_{0}, agent_goes_{0}, client_lasts_{0};
  std::string storage_before_;
  std::set<std::string> cache_before_;
  std::map<std::string, std::uint64_t> acknowledged_;
  std::map<std::string, std::string> fingerprints_;
  int struck_ = 0, published_ = 0, disturbed_ = 0;
  bool always_full_ = false;
  Milliseconds slowest_clean_{0}, slowest_commits_{0};
};

TEST_F(Kill, OfTheClientAtAnyMoment) {
  measure_pull();
  for (int i = 0; i < rounds(4, 50); ++i)
    disturb(kPullBytesPerS, [&](Child& client) { strike_client(client, client_lasts_); }, {0});
  EXPECT_GT(struck_, 0);
}

TEST_F(Kill, OfTheAgentAtAnyMoment) {
  measure_pull();
  for (int i = 0; i < rounds(4, 500) && !HasFailure(); ++i)
    disturb(kPullBytesPerS, [&](Child& client) { strike_agent(client); }, {0, 1});
  EXPECT_GT(struck_, 0);
}

TEST_F(Kill, OfTheServersSshAtAnyMoment) {
  measure_pull();
  for (int i = 0; i < rounds(4, 200) && !HasFailure(); ++i)
    // 3: it was not yet logged in.
    disturb(kPullBytesPerS, [&](Child& client) { strike_sshd(client, agent_goes_); }, {0, 1, 3});
  EXPECT_GT(struck_, 0);
}

TEST_F(Kill, DuringTheUploadOfTheAgent) {
  const Milliseconds within(800);
  for (int i = 0; i < rounds(2, 25); ++i) {
    fs::remove_all(app_.sshd().remote_cache() + "/litepull");
    disturb(kUploadBytesPerS, [&](Child& client) { strike_client(client, within); }, {0});
    fs::remove_all(app_.sshd().remote_cache() + "/litepull");
    disturb(kUploadBytesPerS, [&](Child& client) { strike_sshd(client, within); }, {0, 1, 3});
  }
  EXPECT_GT(struck_, 0);
}

// 0 and 4: the snapshot was published already, and 4 that it could not be checked any more.
TEST_F(Kill, CtrlCAndSigtermLeaveNothingHalfDone) {
  measure_pull();
  for (int i = 0; i < rounds(2, 25); ++i)
    for (const int signal : {SIGINT, SIGTERM})
      disturb(kPullBytesPerS,
              [&](Child& client) {
                EXPECT_TRUE(eventually([&] { return is_staging() || !client.running(); }));
                strike_client(client, agent_goes_, signal);
                EXPECT_TRUE(client.wait(Milliseconds(5'000))) << "it went on after the signal";
              },
              {0, 1, 4});
  EXPECT_GT(struck_, 0);
}

TEST_F(Kill, OfTheLinkAtAnyByte) {
  app_.set("IDLE_TIMEOUT", "2");
  app_.set("CONNECT_TIMEOUT", "2");
  proxy_.set_rate(0);
  const std::uint64_t before = proxy_.bytes_down();
  ASSERT_EQ(app_.backup({"--full"}).exit_code(), 0);
  always_full_ = true;  // whose bytes are counted
  const std::uint64_t pull_bytes = proxy_.bytes_down() - before;
  remember_snapshots();
  // After silence the server is clean only once the agent's own deadline is over.
  std::vector<CutMode> modes{CutMode::kFin, CutMode::kReset};
  if (rounds(0, 1) == 1) modes.push_back(CutMode::kSilence);
  for (int i = 0; i < rounds(2, 10); ++i)
    for (const CutMode mode : modes) {
      proxy_.cut_after(std::uniform_int_distribution<std::uint64_t>(1, pull_bytes * 9 / 10)(random_), mode);
      disturb(0, [](Child&) {}, {1, 3});
      EXPECT_TRUE(proxy_.was_cut());
    }
}

TEST_F(Kill, ALinkThatFallsSilentIsGivenUpAfterTheIdleTimeout) {
  app_.set("IDLE_TIMEOUT", "2");
  always_full_ = true;
  measure_pull();
  disturb(kPullBytesPerS,
          [&](Child& client) {
            EXPECT_TRUE(eventually([&] { return agent_runs(); }));
            pause_for(agent_lasts_ / 4);
            proxy_.freeze();
            const Clock::time_point start = Clock::now();
            EXPECT_TRUE(client.wait(Milliseconds(10'000)));
            EXPECT_LT(since(start), Milliseconds(5'000));
            proxy_.thaw();
          },
          {1});
}

// Nobody tells the agent that its client is gone: the link is there, and nothing comes over it.
TEST_F(Kill, OfTheClientBehindADeadLinkEndsTheAgent) {
  if (rounds(0, 1) == 0) GTEST_SKIP() << "takes as long as the agent waits; LITEPULL_LONG=1 runs it";
  always_full_ = true;
  measure_pull();
  disturb(kPullBytesPerS,
          [&](Child& client) {
            EXPECT_TRUE(eventually([&] { return agent_runs(); }));
            pause_for(agent_lasts_ / 4);
            proxy_.freeze();
            client.kill(SIGKILL);
            const Clock::time_point start = Clock::now();
            EXPECT_TRUE(agent_runs());
            EXPECT_TRUE(eventually([&] { return !agent_runs(); }, Milliseconds(45'000)));
            std::printf("  the agent was gone after %lld ms\n", static_cast<long long>(since(start).count()));
            expect_writers_go_on();
            proxy_.thaw();
          },
          {});
}

// Many at once, each at another place of its pull: the link dies without a word, and so do the clients.
TEST_F(Kill, OfManyClientsBehindADeadLinkFreesTheLocksInHalfAMinute) {
  if (rounds(0, 1) == 0) GTEST_SKIP() << "takes as long as the agents wait; LITEPULL_LONG=1 runs it";
  constexpr int kClients = 10, kAgents = 50;
  constexpr Milliseconds kLocksGone{30'000}, kAgentsGone{60'000};
  Milliseconds slowest_lock{0}, slowest_agent{0};
  SQLite::Database wal(app_.in_storage("busy.sqlite3"), SQLite::OPEN_READWRITE, 100);
  SQLite::Database rollback(app_.in_storage("rollback.sqlite3"), SQLite::OPEN_READWRITE, 100);
  // Nobody reads an old state of the one, and nobody at all the other.
  const auto is_free = [&] {
    return wal.execAndGet("PRAGMA wal_checkpoint(RESTART)").getInt() == 0 &&
           rollback.tryExec("BEGIN EXCLUSIVE") == SQLite::OK && rollback.tryExec("ROLLBACK") == SQLite::OK;
  };
  while (struck_ < kAgents && !HasFailure()) {
    proxy_.set_rate(kPullBytesPerS / 4);  // so that all are there at once
    std::vector<Child> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(start_pull_of_another_app(i));
      pause_for(random_moment(Milliseconds(200)));
    }
    ASSERT_TRUE(
        eventually([&] { return app_.sshd().agent_pids().size() >= kClients / 2; }, Milliseconds(60'000)));
    pause_for(random_moment(Milliseconds(2'000)));
    proxy_.freeze();
    const std::size_t agents = app_.sshd().agent_pids().size();
    for (Child& client : clients) client.kill(SIGKILL);
    const Clock::time_point start = Clock::now();
    EXPECT_TRUE(eventually(is_free, kLocksGone)) << "locks were held for more than 30 s";
    slowest_lock = std::max(slowest_lock, since(start));
    EXPECT_TRUE(eventually([&] { return !agent_runs(); }, kAgentsGone - since(start)));
    slowest_agent = std::max(slowest_agent, since(start));
    struck_ += static_cast<int>(agents);
    expect_writers_go_on();
    proxy_.thaw();
    expect_clean_server(cache_before_);
  }
  std::printf("  %d agents behind a dead link: locks gone after %lld ms at most, agents after %lld ms\n",
              struck_, static_cast<long long>(slowest_lock.count()),
              static_cast<long long>(slowest_agent.count()));
  expect_next_run_succeeds();
}

}  // namespace
}  // namespace litepull::test
