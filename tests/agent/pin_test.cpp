// Who has to wait while databases are pinned and wait for their turn to be copied.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/hold_watch.h"
#include "agent/pin.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

constexpr const char* kRows = "CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t (b) VALUES (1)";

class PinTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { sqlite3_initialize(); }
  PinTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
  }
  ~PinTest() override { EXPECT_EQ(::chdir("/"), 0); }

  static Connection app(const std::string& name, const std::string& sql = kRows) {
    Connection connection = open_connection(name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    sqlite3_busy_timeout(connection.get(), 5'000);
    execute(connection.get(), sql.c_str());
    return connection;
  }

  Databases open_all() {
    Request request;
    request.databases = {"*.sqlite3"};
    Databases databases;
    for (const Candidate& candidate : discover(request))
      databases.push_back(std::make_unique<SourceDatabase>(guard_, candidate));
    return databases;
  }

  static std::uint64_t commit_us(sqlite3* connection) {
    const std::uint64_t started_us = monotonic_us();
    execute(connection, "UPDATE t SET b = b + 1");
    return monotonic_us() - started_us;
  }

  test::TempDir storage_;
  GuardVfs guard_;
};

// The database is free when it is opened, and then locked for longer than this test lasts.
TEST_F(PinTest, NoLockIsWaitedForWhileARollbackDatabaseIsHeld) {
  const Connection free = app("a.sqlite3"), locked = app("b.sqlite3"), last = app("c.sqlite3");
  Databases databases = open_all();
  execute(locked.get(), "BEGIN EXCLUSIVE");
  const PinResult result = pin_set(databases, 100);
  ASSERT_EQ(databases.size(), 3U);
  EXPECT_TRUE(result.unpinned.empty());
  EXPECT_TRUE(databases[0]->pinned());
  EXPECT_FALSE(databases[1]->pinned()) << "it is for its turn";
  EXPECT_TRUE(databases[2]->pinned());
  EXPECT_LT(monotonic_us() - databases[0]->pinned_since_us(), 300'000U);
  EXPECT_EQ(result.set.consistency, Consistency::kPinned);
  EXPECT_NE(result.set.note.find("b.sqlite3"), std::string::npos) << result.set.note;
}

TEST_F(PinTest, AWalDatabaseIsPinnedBesideALockedOne) {
  const Connection wal = app("a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kRows);
  const Connection locked = app("b.sqlite3");
  Databases databases = open_all();
  execute(locked.get(), "BEGIN EXCLUSIVE");
  pin_set(databases, 50);
  EXPECT_TRUE(databases[0]->pinned());
  EXPECT_FALSE(databases[1]->pinned());
  execute(wal.get(), "UPDATE t SET b = 2");
}

TEST_F(PinTest, ARollbackDatabaseIsLetGoOfWithinHalfASecondUnlessItIsRead) {
  const Connection writer = app("a.sqlite3");
  Databases databases = open_all();
  databases[0]->pin();
  HoldWatch watch;
  watch.watch(*databases[0]);
  const std::uint64_t waited_us = commit_us(writer.get());
  EXPECT_GT(waited_us, HoldWatch::kLetGoAfterUs / 2);
  EXPECT_LT(waited_us, HoldWatch::kMaxIdleHoldUs + 150'000) << "SQLite's own steps are 100 ms long";
  watch.take(*databases[0]);
  EXPECT_FALSE(databases[0]->pinned());
}

TEST_F(PinTest, OneThatIsBeingReadIsNotLetGoOf) {
  const Connection writer = app("a.sqlite3");
  Databases databases = open_all();
  databases[0]->pin();
  HoldWatch watch;
  watch.watch(*databases[0]);
  watch.take(*databases[0]);
  ::usleep(HoldWatch::kMaxIdleHoldUs + 50'000);
  EXPECT_TRUE(databases[0]->pinned());
  EXPECT_EQ(databases[0]->page_count(), 2U);
  watch.let_go_of_all();
  EXPECT_TRUE(databases[0]->pinned()) << "it was taken";
}

TEST_F(PinTest, APinFindsTheModeAndSizeOfThatMoment) {
  const Connection writer = app("a.sqlite3");
  Databases databases = open_all();
  execute(writer.get(), "INSERT INTO t (b) SELECT zeroblob(50000); PRAGMA journal_mode=WAL;");
  databases[0]->pin();
  EXPECT_EQ(databases[0]->journal_mode(), JournalMode::kWal);
  EXPECT_GT(databases[0]->page_count(), 12U);
  execute(writer.get(), "INSERT INTO t (b) SELECT zeroblob(50000)");
  databases[0]->pin();
  EXPECT_GT(databases[0]->page_count(), 24U) << "pages that are in the WAL alone";
}

// Writers of the other databases wait no longer than the barrier may last.
TEST_F(PinTest, WritersOfOtherDatabasesAreNotKeptWaitingForALockedOne) {
  std::vector<Connection> apps;
  for (int i = 10; i < 30; ++i) apps.push_back(app(std::to_string(i) + ".sqlite3"));
  const Connection locked = app("z.sqlite3");
  Databases databases = open_all();
  execute(locked.get(), "BEGIN EXCLUSIVE");
  std::uint64_t worst_us = 0;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done)
      for (Connection& one : apps) worst_us = std::max(worst_us, commit_us(one.get()));
  });
  for (int i = 0; i < 3; ++i) {
    (void)pin_set(databases, 300);
    for (auto& database : databases) database->release();
  }
  done = true;
  writer.join();
  EXPECT_LT(worst_us, 1'000'000U);
}

}  // namespace
}  // namespace litepull
