// What tells whether a database was committed to must say so for every commit there is.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

constexpr useconds_t kSettledUs = 2'100'000;  // by then another write leaves other times

constexpr const char* kRows =
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b);"
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t (b) "
    "SELECT hex(randomblob(40)) FROM n;";

// One database, made by `prepare`, and what is then done to it by its app.
struct Case {
  std::string prepare;
  std::string change;
  bool app_stays = true;  // connected all the while; else it comes for each of the two
  bool same = false;      // that was no commit
};

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

  SourceState state(const std::string& name) {
    Request request;
    request.databases = {name};
    SourceDatabase database(guard_, discover(request).at(0));
    database.pin();
    return database.state();
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
    if (each.app_stays) apps[name] = std::move(connection);
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
      app(name, each.change);
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

TEST_F(SourceStateTest, IsThatOfTheFileThatWasOpened) {
  app("a", kRows);
  app("b", kRows);
  ::usleep(kSettledUs);
  Request request;
  request.databases = {"a"};
  SourceDatabase database(guard_, discover(request).at(0));
  std::filesystem::rename("b", "a");
  database.pin();
  EXPECT_EQ(database.state(), kNoState);
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
