// The state of a database must change with every kind of commit.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/source_database.h"
#include "agent/source_state.h"
#include "agent/sqlite.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

constexpr useconds_t kSettledUs = 2'100'000;  // after this, another write leaves other times

constexpr const char* kRows =
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b);"
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t (b) "
    "SELECT hex(randomblob(40)) FROM n;";

// One database that `prepare` makes, and what its app then does to it.
struct Case {
  std::string prepare;
  std::string change;
  bool app_stays = true;  // the app stays connected; else it connects for each of the two steps
  bool same = false;      // the second step is no commit
  bool dies = false;      // the app is killed, so that its WAL stays
};

const DigestKey kKey = test::key_of(1);

class SourceStateTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { sqlite3_initialize(); }
  SourceStateTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
  }
  ~SourceStateTest() override { EXPECT_EQ(::chdir("/"), 0); }

  static Connection app(const std::string& name, const std::string& sql) {
    Connection connection = open_connection(name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(connection.get(), sql.c_str());
    return connection;
  }

  static void close(Connection connection, bool dies) {
    sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, dies ? 1 : 0, nullptr);
    connection.reset();
  }

  static Candidate find(const std::string& name) {
    Request request;
    request.databases = {name};
    return discover(request).at(0);
  }

  SourceState state(const std::string& name) {
    SourceDatabase database(guard_, find(name));
    database.pin();
    return database.state(kKey);
  }

  test::TempDir storage_;
  GuardVfs guard_;
};

const std::string kWal = std::string("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;") + kRows;
const std::string kCheckpointed = kWal + "PRAGMA wal_checkpoint(TRUNCATE);";
const std::string kRestarted = kWal + "PRAGMA wal_checkpoint(RESTART);";
constexpr const char* kUpdate = "UPDATE t SET b = 1 WHERE a = 7";
constexpr const char* kNothing = "SELECT count(*) FROM t";

const std::map<std::string, Case> kCases{
    {"rollback", {kRows, kUpdate}},
    {"rollback-alone", {kRows, kUpdate, false}},
    {"rollback-idle", {kRows, kNothing, true, true}},
    {"rollback-idle-alone", {kRows, kNothing, false, true}},
    {"rollback-back", {kRows, "BEGIN IMMEDIATE; UPDATE t SET b = 1; ROLLBACK", true, true}},
    {"persist", {std::string("PRAGMA journal_mode=PERSIST;") + kRows, kUpdate}},
    {"truncate", {std::string("PRAGMA journal_mode=TRUNCATE;") + kRows, kUpdate}},
    {"vacuum", {kRows, "VACUUM"}},
    {"wal", {kWal, kUpdate}},
    {"wal-idle", {kWal, kNothing, true, true}},
    {"wal-back", {kWal, "BEGIN IMMEDIATE; UPDATE t SET b = 1; ROLLBACK", true, true}},
    {"wal-empty", {kCheckpointed, kUpdate}},
    {"wal-empty-idle", {kCheckpointed, kNothing, true, true}},
    {"wal-restarted", {kRestarted, kUpdate}},
    {"wal-restarted-idle", {kRestarted, kNothing, true, true}},
    {"wal-alone", {kWal, kUpdate, false}},
    {"wal-alone-idle", {kCheckpointed, kNothing, false, true}},
    {"wal-left-behind", {kWal, kUpdate, false, false, true}},
    {"wal-left-behind-idle", {kWal, kNothing, false, true, true}},
    {"memory", {std::string("PRAGMA journal_mode=MEMORY;") + kRows, kUpdate}},
    {"off", {std::string("PRAGMA journal_mode=OFF;") + kRows, kUpdate}},
    {"wal-through", {kWal, std::string(kUpdate) + "; PRAGMA wal_checkpoint(TRUNCATE)"}},
    {"wal-no-difference", {kWal, "UPDATE t SET b = b WHERE a = 7", true, true}},
    {"wal-left", {kWal, "PRAGMA journal_mode=DELETE"}},
    {"wal-entered", {kRows, "PRAGMA journal_mode=WAL"}},
    {"user-version", {kWal, "PRAGMA user_version=3"}},
    {"user-version-in-place", {kRows, "PRAGMA user_version=3"}},
};

TEST_F(SourceStateTest, IsAnotherOneAfterEveryCommitAndTheSameAfterNone) {
  std::map<std::string, Connection> apps;
  for (const auto& [name, each] : kCases) {
    Connection connection = app(name, each.prepare);
    if (each.app_stays)
      apps[name] = std::move(connection);
    else
      close(std::move(connection), each.dies);
  }
  ::usleep(kSettledUs);
  std::map<std::string, SourceState> before;
  for (const auto& [name, each] : kCases) {
    before[name] = state(name);
    EXPECT_NE(before[name], kNoState) << name;
    EXPECT_EQ(state(name), before[name]) << name;
  }
  for (const auto& [name, each] : kCases) {
    if (each.app_stays)
      execute(apps[name].get(), each.change.c_str());
    else
      close(app(name, each.change), each.dies);
    EXPECT_EQ(state(name) == before[name], each.same) << name;
  }
  ::usleep(kSettledUs);
  for (const auto& [name, each] : kCases) EXPECT_EQ(state(name) == before[name], each.same) << name;
}

TEST_F(SourceStateTest, IsNotKnownSoSoonAfterAWriteThatAnotherCouldGoUnseen) {
  const Connection writer = app("a", kRows);
  EXPECT_EQ(state("a"), kNoState);
  ::usleep(kSettledUs);
  EXPECT_NE(state("a"), kNoState);
  execute(writer.get(), kUpdate);
  EXPECT_EQ(state("a"), kNoState);
}

// If this process had been stopped for long after its transaction began, a commit could be old by now.
TEST_F(SourceStateTest, IsNotKnownWhenTheFileHasChangedSinceBeforeTheTransaction) {
  const Connection reader = app("a", kRows);
  ::usleep(kSettledUs);
  const Candidate candidate = find("a");
  const StateProbe probe(candidate);
  EXPECT_FALSE(probe.settle(reader.get(), JournalMode::kRollback).empty());
  app("a", kUpdate);
  ::usleep(kSettledUs);
  EXPECT_TRUE(probe.settle(reader.get(), JournalMode::kRollback).empty());
}

TEST_F(SourceStateTest, IsThatOfTheFileThatWasOpened) {
  app("a", kRows);
  app("b", kRows);
  ::usleep(kSettledUs);
  SourceDatabase database(guard_, find("a"));
  std::filesystem::rename("b", "a");
  database.pin();
  EXPECT_EQ(database.state(kKey), kNoState);
}

TEST_F(SourceStateTest, IsNotKnownOfAFileFromTheFutureOrFromNoYearAtAll) {
  using namespace std::chrono_literals;
  app("a", kRows);
  app("b", kRows);
  const auto now = std::filesystem::last_write_time("a");
  std::filesystem::last_write_time("a", now + 1h);
  std::filesystem::last_write_time("b", now - 24h * 365 * 60);  // before 1970
  ::usleep(kSettledUs);
  EXPECT_EQ(state("a"), kNoState);
  EXPECT_EQ(state("b"), kNoState);
}

TEST_F(SourceStateTest, NobodySetsItBack) {
  app("a", kRows);
  ::usleep(kSettledUs);
  const SourceState before = state("a");
  const auto time = std::filesystem::last_write_time("a");
  app("a", kUpdate);
  std::filesystem::last_write_time("a", time);
  ::usleep(kSettledUs);
  EXPECT_NE(state("a"), before);
}

}  // namespace
}  // namespace litepull
