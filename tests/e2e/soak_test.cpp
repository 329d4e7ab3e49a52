// Hours in the life of an app, in short: writers in both journal modes, a checkpointer that uses each mode
// in turn, a database that is vacuumed and whose schema and journal mode change, and pull after pull. Each
// snapshot is a committed state. Nothing grows: neither memory nor descriptors on either machine, nor the
// WAL, nor what is left behind.
//
// It takes about 15 seconds. LITEPULL_SOAK_MINUTES=30 sets another duration, and LITEPULL_LONG=1 means 30
// minutes.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <sstream>
#include <thread>

#include "common/error.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pair_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kWal = "wal.sqlite3";
constexpr const char* kRollback = "rollback.sqlite3";
constexpr const char* kChanging = "changing.sqlite3";
constexpr int kBusyTimeoutMs = 60'000;
constexpr int kMostRows = 8'000;
constexpr std::size_t kSnapshotsKept = 4;
constexpr double kLargestWalMib = 64;  // SQLite's own checkpoints keep it at 4
constexpr double kMostDescriptors = 64;
constexpr int kFewestPulls = 6;  // on a machine that is busy with something else, too

std::chrono::seconds duration() {
  if (const char* minutes = std::getenv("LITEPULL_SOAK_MINUTES"))
    return std::chrono::seconds(static_cast<int>(60 * std::atof(minutes)));
  return std::chrono::seconds(rounds(15, 30 * 60));
}

// Calls `step` over and over, in a thread of its own.
class Loop {
 public:
  explicit Loop(std::function<void()> step)
      : step_(std::move(step)), thread_([this] {
          while (!stop_) step_();
        }) {}
  ~Loop() {
    stop_ = true;
    thread_.join();
  }

 private:
  const std::function<void()> step_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// --- a database whose schema, size and journal mode change ------------------------------------------------

// Every change but of the file's form is one transaction, which also writes down what is true from then on.
class Changing {
 public:
  explicit Changing(const std::string& path)
      : database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {
    database_.exec(
        "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE items(id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
        "CREATE TABLE facts(steps INTEGER NOT NULL, items INTEGER NOT NULL, tables INTEGER NOT NULL);"
        "INSERT INTO facts VALUES (0, 0, 0)");
    change("INSERT INTO items SELECT NULL, randomblob(1000) FROM generate");
  }

  void step() {
    switch (number(0, 9)) {
      case 0:
        return change("CREATE TABLE IF NOT EXISTS extra" + std::to_string(number(1, 9)) +
                      " AS SELECT id, length(body) AS size FROM items LIMIT 100");
      case 1:
        return change("DROP TABLE IF EXISTS extra" + std::to_string(number(1, 9)));
      case 2:
        return change("CREATE INDEX IF NOT EXISTS by_size ON items(length(body))");
      case 3:
        return change("DROP INDEX IF EXISTS by_size");
      case 4:
        return change("DELETE FROM items WHERE id % 3 = " + std::to_string(number(0, 2)));
      case 5:
        return change_form(number(0, 1) == 0 ? "VACUUM" : "PRAGMA incremental_vacuum");
      case 6:
        return change_form(number(0, 1) == 0 ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL");
      default:
        if (database_.execAndGet("SELECT items FROM facts").getInt() > kMostRows)
          return change("DELETE FROM items WHERE id % 10 <> 0");
        return change("INSERT INTO items SELECT NULL, randomblob(" + std::to_string(number(1, 3'000)) +
                      ") FROM generate");
    }
  }

  std::int64_t acknowledged() const { return acknowledged_; }

 private:
  int number(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }

  void change(const std::string& statement) {
    const std::string::size_type rows = statement.find("generate");
    const std::string text =
        rows == std::string::npos
            ? statement
            : "WITH RECURSIVE generate(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM generate WHERE i < 300) " +
                  statement;
    database_.exec("BEGIN IMMEDIATE");
    database_.exec(text);
    database_.exec(
        "UPDATE facts SET steps = steps + 1, items = (SELECT count(*) FROM items),"
        " tables = (SELECT count(*) FROM sqlite_schema WHERE name LIKE 'extra%'); COMMIT");
    acknowledged_ = database_.execAndGet("SELECT steps FROM facts").getInt64();
    pause_for(Milliseconds(20));
  }

  // Not while somebody else is at the database: then another time.
  void change_form(const std::string& statement) {
    database_.exec("PRAGMA busy_timeout=200");
    database_.tryExec(statement);
    database_.exec("PRAGMA busy_timeout=" + std::to_string(kBusyTimeoutMs));
  }

  SQLite::Database database_;
  std::mt19937_64 random_{std::random_device{}()};
  std::atomic<std::int64_t> acknowledged_{0};
};

std::string why_no_state(const std::string& path, std::int64_t acknowledged) {
  ScratchCopy copy(path);
  if (const std::string said = copy.text("PRAGMA integrity_check"); said != "ok") return said;
  if (copy.number("SELECT items FROM facts") != copy.number("SELECT count(*) FROM items"))
    return "another number of items";
  if (copy.number("SELECT tables FROM facts") !=
      copy.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'extra%'"))
    return "another number of tables";
  if (copy.number("SELECT steps FROM facts") < acknowledged) return "an acknowledged change is missing";
  return "";
}

// --- what must not grow -----------------------------------------------------------------------------------

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// A figure of each pull.
class Series {
 public:
  Series(const char* name, double slack) : name_(name), slack_(slack) {}

  void add(double value) { values_.push_back(value); }

  // Its median in the last third of all pulls beside that in the first.
  void expect_flat() const {
    ASSERT_GE(values_.size(), 3U) << name_;
    const auto third = static_cast<std::ptrdiff_t>(values_.size() / 3);
    const double first = median({values_.begin(), values_.begin() + third});
    const double last = median({values_.end() - third, values_.end()});
    std::printf("  %s: median %.1f in the first third, %.1f in the last, %.1f at most\n", name_, first, last,
                most());
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed, and makes a pull so slow that there are few
    EXPECT_LE(last, first + slack_) << name_ << " grows";
#endif
  }
  double most() const {
    return *std::max_element(values_.begin(), values_.end());
  }

 private:
  const char* name_;
  const double slack_;  // growth that is none
  std::vector<double> values_;
};

// In MiB, and 0 once the process is gone.
double peak_memory_of(pid_t pid) {
  double kib = 0;
  try {
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("VmHWM:")) kib = std::atof(line.c_str() + 6);
  } catch (const Error&) {
  }
  return kib / 1024;
}

double descriptors_of(pid_t pid) {
  std::error_code gone;
  double count = 0;
  for (fs::directory_iterator at("/proc/" + std::to_string(pid) + "/fd", gone), end; !gone && at != end;
       at.increment(gone))
    ++count;
  return count;
}

class Soak : public testing::Test {
 protected:
  Soak() {
    app_.set("KEEP_LAST", std::to_string(kSnapshotsKept));
    writers_.push_back(app_.start_bank(kWal, "wal", {"--accounts=20000", "--rate=50"}));
    writers_.push_back(app_.start_bank(kRollback, "delete", {"--accounts=2000", "--rate=20"}));
    writers_.push_back(app_.start_pair("a.sqlite3", "z.sqlite3", "wal", {"--rate=100"}));
    changing_ = std::make_unique<Changing>(app_.in_storage(kChanging));
  }

  void checkpoint() {
    static constexpr const char* kModes[] = {"PASSIVE", "FULL", "RESTART", "TRUNCATE"};
    SQLite::Database database(app_.in_storage(kWal), SQLite::OPEN_READWRITE, 100);
    database.tryExec(std::string("PRAGMA wal_checkpoint(") + kModes[checkpoints_++ % 4] + ")");
    pause_for(Milliseconds(50));
  }

  double wal_mib() const {
    std::error_code none;
    const auto bytes = fs::file_size(app_.in_storage(kWal) + "-wal", none);
    return none ? 0 : static_cast<double>(bytes) / (1 << 20);
  }

  // The largest figures that are seen while the pull lasts.
  void watch(Child& client) {
    double memory = 0, descriptors = 0, of_agent = 0, wal = 0;
    while (client.running()) {
      memory = std::max(memory, peak_memory_of(client.pid()));
      descriptors = std::max(descriptors, descriptors_of(client.pid()));
      wal = std::max(wal, wal_mib());
      for (const pid_t agent : app_.sshd().agent_pids()) of_agent = std::max(of_agent, descriptors_of(agent));
      pause_for(Milliseconds(5));
    }
    client_memory_.add(memory);
    client_descriptors_.add(descriptors);
    agent_descriptors_.add(of_agent);
    wal_.add(wal);
  }

  // True when all that was pulled is right.
  bool pull() {
    const std::uint64_t wal = read_ack(app_.ack_path(kWal)), rollback = read_ack(app_.ack_path(kRollback)),
                        pair = read_ack(app_.ack_path("a.sqlite3"));
    const std::int64_t changing = changing_->acknowledged();
    Child client = app_.start_backup(++pulls_ % 5 == 0 ? std::vector<std::string>{"--full"}
                                                       : std::vector<std::string>{});
    watch(client);
    const BackupRun run = app_.finish_backup(client);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    if (run.snapshot().empty()) return false;
    agent_memory_.add(run.json["agent"]["peak_rss_bytes"].get<double>() / (1 << 20));
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(check_bank(run.file(kWal), wal).failure, "");
    EXPECT_EQ(check_bank(run.file(kRollback), rollback).failure, "");
    EXPECT_EQ(why_no_state(run.file(kChanging), changing), "");
    if (run.json["set_consistency"] == "barrier") {
      ++barriers_;
      EXPECT_EQ(check_pair(run.file("a.sqlite3"), run.file("z.sqlite3"), pair).failure, "");
    }
    expect_nothing_left();
    return !HasFailure();
  }

  void expect_nothing_left() {
    EXPECT_TRUE(eventually([&] { return app_.sshd().remote_pids().empty(); })) << "an agent was left running";
    const fs::path cache = app_.sshd().remote_cache() + "/litepull";
    EXPECT_EQ(std::distance(fs::directory_iterator(cache), fs::directory_iterator()), 1)
        << "beside the agent";
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
    EXPECT_LE(app_.snapshots().size(), kSnapshotsKept);
    for (const auto& entry : fs::directory_iterator(app_.storage())) {
      const std::string name = entry.path().filename().string();
      EXPECT_TRUE(name.ends_with(".sqlite3") || name.ends_with("-wal") || name.ends_with("-shm") ||
                  name.ends_with("-journal"))
          << name << " was left in the storage";
    }
  }

  PullFixture app_{Over::kSsh};
  std::vector<Child> writers_;
  std::unique_ptr<Changing> changing_;
  unsigned checkpoints_ = 0;
  int pulls_ = 0, barriers_ = 0;
  // The banks' ledgers grow and are verified: some MiB of that are no leak.
  Series client_memory_{"client's memory, MiB", 8};
  // Up to 8 MiB of pages wait for the network, as soon as the databases have grown to that size.
  Series agent_memory_{"agent's memory, MiB", 9};
  // Looked at while a pull is at work, now with one database open, now with all; a leak of one a pull is far
  // more in the long form.
  Series client_descriptors_{"client's descriptors", 6}, agent_descriptors_{"agent's descriptors", 6};
  Series wal_{"the WAL, MiB", 8};
};

TEST_F(Soak, EverySnapshotIsRightAndNothingGrows) {
  const Clock::time_point end = Clock::now() + duration();
  {
    const Loop checkpointer([&] { checkpoint(); });
    const Loop changer([&] { changing_->step(); });
    while ((Clock::now() < end || pulls_ < kFewestPulls) && pull()) {
    }
  }
  for (Child& writer : writers_) EXPECT_EQ(writer.stop().code, 0) << "a writer had failed";
  std::printf("  %d pulls, %d of them with a barrier; %llu and %llu commits, %lld changes, %u checkpoints\n",
              pulls_, barriers_, static_cast<unsigned long long>(read_ack(app_.ack_path(kWal))),
              static_cast<unsigned long long>(read_ack(app_.ack_path(kRollback))),
              static_cast<long long>(changing_->acknowledged()), checkpoints_);
  EXPECT_GT(barriers_, pulls_ / 2);
  EXPECT_GT(agent_descriptors_.most(), 0) << "no agent was seen at work";
  for (const Series* series :
       {&client_memory_, &agent_memory_, &client_descriptors_, &agent_descriptors_, &wal_})
    series->expect_flat();
  EXPECT_LT(wal_.most(), kLargestWalMib);
  EXPECT_LT(client_descriptors_.most(), kMostDescriptors);
  EXPECT_LT(agent_descriptors_.most(), kMostDescriptors);
}

}  // namespace
}  // namespace litepull::test
