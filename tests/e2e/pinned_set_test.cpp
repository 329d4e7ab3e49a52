// Sets of many databases, some of which their apps keep locked: what the apps' writers notice of a pull,
// and what the pull gets.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

#include "common/posix.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

struct Member {
  std::string path;
  std::string journal_mode = "delete";
  double shortest_s = 0, longest_s = 0;  // how long it keeps its database locked; 0: only to commit
};

// An app with one database, in a thread of its own.
class App {
 public:
  App(const Member& member, unsigned seed) : member_(member), random_(seed), thread_([this] { run(); }) {}
  ~App() {
    stop_ = true;
    thread_.join();
  }
  double worst_ms() const { return static_cast<double>(worst_us_) / 1e3; }
  void forget() { worst_us_ = 0; }
  bool slow() const { return member_.longest_s > 0; }

 private:
  void run() {
    SQLite::Database database(member_.path, SQLite::OPEN_READWRITE);
    database.setBusyTimeout(60'000);
    while (!stop_) {
      commit(database);
      pause_s(slow() ? 0.02 : 0.25);
    }
  }

  // Its own time in the transaction is no waiting.
  void commit(SQLite::Database& database) {
    const double hold_s = std::uniform_real_distribution(member_.shortest_s, member_.longest_s)(random_);
    const std::uint64_t started_us = monotonic_us();
    database.exec(slow() ? "BEGIN EXCLUSIVE" : "BEGIN IMMEDIATE");
    database.exec("UPDATE t SET b = b + 1");
    const std::uint64_t before_hold_us = monotonic_us();
    if (slow()) pause_s(hold_s);
    const std::uint64_t after_hold_us = monotonic_us();
    database.exec("COMMIT");
    const std::uint64_t waited_us = monotonic_us() - started_us - (after_hold_us - before_hold_us);
    worst_us_ = std::max<std::uint64_t>(worst_us_, waited_us);
  }

  void pause_s(double seconds) {
    for (const std::uint64_t until_us = monotonic_us() + static_cast<std::uint64_t>(seconds * 1e6);
         !stop_ && monotonic_us() < until_us;)
      pause_for(Milliseconds(5));
  }

  const Member member_;
  std::mt19937 random_;
  std::atomic<std::uint64_t> worst_us_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void make(const std::string& path, const std::string& journal_mode, int kilobytes = 8) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=" + journal_mode);
  database.exec("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); INSERT INTO t(b, c) VALUES (0, zeroblob(" +
                std::to_string(kilobytes) + " * 1000))");
}

class PinnedSet : public testing::Test {
 protected:
  PinnedSet() : app_(Over::kLocal) {}

  std::string make_numbered(int number, const std::string& journal_mode) {
    char name[32];
    std::snprintf(name, sizeof name, "%04d.sqlite3", number);
    make(app_.in_storage(name), journal_mode);
    return app_.in_storage(name);
  }

  static double worst_ms(const std::vector<std::unique_ptr<App>>& apps, bool slow) {
    double worst = 0;
    for (const auto& app : apps)
      if (app->slow() == slow) worst = std::max(worst, app->worst_ms());
    return worst;
  }

  // The longest of each kind since this was last asked for.
  struct Waits {
    double fast_ms = 0, slow_ms = 0;

    void add(const Waits& other) {
      fast_ms = std::max(fast_ms, other.fast_ms);
      slow_ms = std::max(slow_ms, other.slow_ms);
    }
  };
  static Waits waits_of(const std::vector<std::unique_ptr<App>>& apps) {
    const Waits waits{worst_ms(apps, false), worst_ms(apps, true)};
    for (const auto& app : apps) app->forget();
    return waits;
  }

  PullFixture app_;
};

TEST_F(PinnedSet, NobodyWaitsForTheLocksOfAnotherDatabasesApp) {
  const bool full = rounds(0, 1) == 1;
  const int databases = rounds(12, 60), slow = rounds(4, 20), pulls = rounds(3, 100);
  std::vector<std::unique_ptr<App>> apps;
  for (int i = 0; i < databases; ++i) {
    Member member;
    member.journal_mode = i % 3 == 2 ? "wal" : "delete";
    member.path = make_numbered(i, member.journal_mode);
    if (i % 3 == 0 && i / 3 < slow) member.shortest_s = 0.1, member.longest_s = full ? 5 : 1;
    apps.push_back(std::make_unique<App>(member, static_cast<unsigned>(i)));
  }
  pause_for(Milliseconds(300));
  waits_of(apps);
  pause_for(Milliseconds(full ? 60'000 : 2'500));
  Waits without = waits_of(apps), with;
  double worst_skew_ms = 0;
  int barriers = 0;
  for (int i = 0; i < pulls; ++i) {
    const std::uint64_t started_us = monotonic_us();
    const BackupRun run = app_.backup({"--verify=none"});
    with.add(waits_of(apps));
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.json["databases"].size(), static_cast<std::size_t>(databases));
    const bool barrier = run.json["set_consistency"] == "barrier";
    barriers += barrier ? 1 : 0;
    worst_skew_ms = std::max(worst_skew_ms, run.json["skew_ms"].get<double>());
    EXPECT_EQ(run.json["set_note"].get<std::string>().empty(), barrier) << run.words();
    EXPECT_EQ(run.process.err.find("not of one moment") == std::string::npos, barrier) << run.words();
    for (const std::string& snapshot : app_.snapshots()) fs::remove_all(snapshot);
    // As long again without a pull: whatever else the machine does delays writers, too.
    if (full) pause_for(Milliseconds((monotonic_us() - started_us) / 1000));
    without.add(waits_of(apps));
  }
  std::printf(
      "  %d databases, %d of them slow; worst wait in ms without pulls %.0f (slow ones %.0f), in %d pulls "
      "%.0f "
      "(%.0f); %d at a barrier, others at most %.0f ms apart\n",
      databases, slow, without.fast_ms, without.slow_ms, pulls, with.fast_ms, with.slow_ms, barriers,
      worst_skew_ms);
  // Half a second, and what a busy machine and SQLite's own steps of 100 ms add.
  EXPECT_LT(with.fast_ms, without.fast_ms + 1'000);
  EXPECT_LT(with.slow_ms, without.slow_ms + 1'000);
}

// The size changes with every commit: what was announced of it does not hold when its turn has come.
TEST_F(PinnedSet, ADatabaseThatIsPinnedInItsTurnIsPulledRightAndAsItsDifference) {
  for (const char* name : {"a.sqlite3", "c.sqlite3"}) make(app_.in_storage(name), "delete");
  const std::string path = app_.in_storage("b.sqlite3");
  {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA auto_vacuum=FULL; CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
        " INSERT INTO t(b) SELECT randomblob(3000) FROM n");
  }
  app_.set("BARRIER_TIMEOUT_MS", "0");
  const std::jthread app([&](const std::stop_token& stop) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    database.setBusyTimeout(60'000);
    for (int i = 0; !stop.stop_requested(); ++i) {
      database.exec("BEGIN EXCLUSIVE");
      database.exec(i % 2 == 0 ? "DELETE FROM t WHERE a > 400"
                               : "INSERT INTO t(b) SELECT randomblob(3000) FROM t LIMIT 100");
      pause_for(Milliseconds(250));
      database.exec("COMMIT");
      pause_for(Milliseconds(3));
    }
  });
  int later = 0, from_base = 0;
  for (int i = 0; i < rounds(6, 100); ++i) {
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    if (run.exit_code() != 0) break;
    EXPECT_EQ(run.database("b.sqlite3")["verified"], "ok") << run.words();
    later += run.json["set_consistency"] == "pinned" ? 1 : 0;
    from_base += run.database("b.sqlite3")["base"].is_string() ? 1 : 0;
  }
  std::printf("  %d times not at a barrier, %d times as its difference\n", later, from_base);
  EXPECT_GT(later, 0) << "it was always had together with the others";
}

TEST_F(PinnedSet, AThousandDatabasesTakeLittleMemoryAndKeepNobodyWaiting) {
  constexpr int kDatabases = 1'000;
  constexpr double kMaxResidentBytes = 64e6;
  for (const char* mode : {"wal", "delete"}) {
    const std::string first = app_.in_storage(std::string("0-") + mode + ".sqlite3");
    make(first, mode);
    {
      SQLite::Database database(first, SQLite::OPEN_READWRITE);
      for (int i = 0; i < 30; ++i) {
        const std::string name = "table_" + std::to_string(i);
        database.exec("CREATE TABLE " + name +
                      "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, created_at, body)");
        database.exec("CREATE INDEX index_" + name + " ON " + name + "(name, created_at)");
      }
    }
    for (int i = 1; i < kDatabases / 2; ++i)
      fs::copy_file(first, app_.in_storage(std::to_string(i) + "-" + mode + ".sqlite3"));
  }
  const BackupRun run = app_.backup({"--verify=none"}, Milliseconds(300'000));
  ASSERT_EQ(run.exit_code(), 0) << run.process.err;
  EXPECT_EQ(run.json["databases"].size(), static_cast<std::size_t>(kDatabases));
  const double resident = run.json["agent"]["peak_rss_bytes"];
  double longest_s = 0;
  for (const auto& database : run.json["databases"])
    if (database["journal_mode"] == "rollback") longest_s = std::max<double>(longest_s, database["hold_s"]);
  std::printf(
      "  %.1f MB resident, %s, writers held for %.1f ms, a rollback journal for %.0f ms at most; %s\n",
      resident / 1e6, run.json["set_consistency"].get<std::string>().c_str(),
      run.json["lock_hold_ms"].get<double>(), longest_s * 1e3,
      run.json["set_note"].get<std::string>().c_str());
  EXPECT_LT(resident, kMaxResidentBytes);
  // Of a machine that is too busy the note says so.
  EXPECT_TRUE(run.json["set_consistency"] == "barrier" || !run.json["set_note"].get<std::string>().empty());
  EXPECT_LT(run.json["lock_hold_ms"].get<double>(), 400);
  EXPECT_LT(longest_s, 0.6);
}

}  // namespace
}  // namespace litepull::test
