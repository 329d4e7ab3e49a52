// Restores a snapshot's file onto a database: the transaction that replaces it, and what is refused before
// that.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "agent/guard_vfs.h"
#include "agent/source_database.h"
#include "agent/target.h"
#include "tests/agent/restore_fixture.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

// Testing all of them takes half a minute.
std::vector<int> page_sizes() {
  const char* value = std::getenv("LITEPULL_LONG");
  if (value != nullptr && std::string(value) == "1") return {512, 1024, 4096, 65536};
  return {1024};
}

class EveryShape : public RestoreTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(EveryShape, IsReplacedUnderAnOpenConnectionWhichSeesTheSnapshotThen) {
  int count = 0;
  for (const int page_size : page_sizes())
    for (const int there : {0, 1, 2})
      for (const int snapshot : {0, 1, 2})
        for (const auto& [rows_there, rows_snapshot] : {std::pair{900, 900}, {60, 1500}, {1500, 60}}) {
          const std::string name = std::to_string(++count) + ".sqlite3";
          const std::string size = "PRAGMA page_size=" + std::to_string(page_size) + "; PRAGMA auto_vacuum=";
          const Connection open = app(
              name, size + std::to_string(there) + "; PRAGMA journal_mode=" + GetParam() + ";" +
                        rows("t", rows_there, 60) + rows("other", 20, 10) + "DELETE FROM t WHERE a % 3 = 0;");
          ask(open, "SELECT count(*) FROM t");
          // Free pages, which a vacuum at the commit would move.
          const std::string file =
              snapshot_of(size + std::to_string(snapshot) + ";" + rows("t", rows_snapshot, 60) +
                          "CREATE TABLE new (x);" + "DELETE FROM t WHERE a BETWEEN 10 AND 40;");
          const std::string before = pages_of(name);
          struct stat was {
          }, is{};
          ASSERT_EQ(::stat(name.c_str(), &was), 0);

          const Restored restored = restore(name, file);

          const std::string what = name + ": " + std::to_string(page_size) + " " + std::to_string(there) +
                                   " " + std::to_string(snapshot) + " " + std::to_string(rows_there);
          EXPECT_EQ(ask(open, "SELECT count(*) FROM t"), std::to_string(rows_snapshot - 31)) << what;
          EXPECT_EQ(ask(open, "SELECT count(*) FROM new"), "0") << what;
          EXPECT_EQ(ask(open, "SELECT count(*) FROM sqlite_schema WHERE name = 'other'"), "0") << what;
          EXPECT_EQ(ask(open, "PRAGMA integrity_check"), "ok") << what;
          EXPECT_EQ(ask(open, "PRAGMA auto_vacuum"), std::to_string(snapshot)) << what;
          EXPECT_EQ(ask(open, "PRAGMA journal_mode"), GetParam()) << what;
          EXPECT_TRUE(without_counters(pages_of(name)) == without_counters(file)) << what;
          EXPECT_EQ(restored.replaced, digest_of(before)) << what;
          EXPECT_EQ(restored.page_count, file.size() / static_cast<std::size_t>(page_size)) << what;
          ASSERT_EQ(::stat(name.c_str(), &is), 0);
          EXPECT_TRUE(was.st_ino == is.st_ino && was.st_mode == is.st_mode && was.st_uid == is.st_uid)
              << what;
          execute(open.get(), "PRAGMA wal_checkpoint(TRUNCATE)");
          EXPECT_EQ(fs::file_size(name), file.size()) << what;
          execute(open.get(), "INSERT INTO t (b) VALUES (1); INSERT INTO new VALUES (1)");
          EXPECT_EQ(ask(open, "PRAGMA integrity_check"), "ok") << what;
        }
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, EveryShape, ::testing::Values("wal", "delete", "truncate", "persist"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST_F(RestoreTest, MoreThanFitsIntoMemoryIsReplacedInOneTransactionAllTheSame) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    const Connection open = app(name, "PRAGMA journal_mode=" + mode + ";" + large_rows("t", 40));
    const std::string file = snapshot_of(large_rows("t", 38));
    ASSERT_GT(file.size(), std::size_t{32} << 20);
    restore(name, file);
    EXPECT_EQ(ask(open, "PRAGMA integrity_check"), "ok");
    EXPECT_TRUE(without_counters(pages_of(name)) == without_counters(file));
  }
}

TEST_F(RestoreTest, OnlyPagesThatDifferAreWritten) {
  const Connection open = app("a.sqlite3", "PRAGMA journal_mode=WAL;" + rows("t", 3000, 60));
  execute(open.get(), "PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string file = test::file_bytes(storage_ / "a.sqlite3");
  execute(open.get(), "UPDATE t SET b = 'changed' WHERE a = 1500");
  const Restored restored = restore("a.sqlite3", file);
  EXPECT_LE(restored.pages_written, 6U);
  EXPECT_EQ(ask(open, "SELECT count(*) FROM t WHERE b = 'changed'"), "0");
}

TEST_F(RestoreTest, AnAppThatIsNotRunningFindsNoSidecarsOfOurs) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    app(name, "PRAGMA journal_mode=" + mode + ";" + rows("t", 500, 60));
    const std::string file = snapshot_of(rows("t", 300, 60));
    restore(name, file);
    for (const char* ending : {"-wal", "-shm", "-journal"}) EXPECT_FALSE(fs::exists(name + ending)) << ending;
    EXPECT_TRUE(without_counters(test::file_bytes(storage_ / name)) == without_counters(file));
    EXPECT_EQ(ask(app(name), "PRAGMA journal_mode"), mode);
  }
}

TEST_F(RestoreTest, ATransactionThatFailsLeavesEverythingAsItWas) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    app(name, "PRAGMA journal_mode=" + mode + ";" + rows("t", 500, 60));
    const std::string before = test::listing(storage_.path()) + test::file_bytes(storage_ / name);
    const std::string file = snapshot_of(rows("t", 900, 60));
    RestoreItem item = item_of(name, file);
    const Image image = image_of(item, file);
    item.digest[0] ^= 1;  // as when the image was damaged after it was proven
    EXPECT_THROW(rewrite(find_databases({name}).at(0), image, item.digest, item.pages), Error);
    EXPECT_TRUE(test::listing(storage_.path()) + test::file_bytes(storage_ / name) == before);
  }
}

TEST_F(RestoreTest, AWriterThatDoesNotEndIsWaitedForOnlySoLong) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    const Connection open =
        app(name, "PRAGMA journal_mode=" + mode + ";" + rows("t", 500, 60) + "BEGIN IMMEDIATE");
    const std::string before = pages_of(name);
    EXPECT_NE(refusal(name, snapshot_of(rows("t", 900, 60)), ErrorKind::kBusy).find("locked"),
              std::string::npos);
    EXPECT_TRUE(pages_of(name) == before);
    execute(open.get(), "COMMIT");
    restore(name, snapshot_of(rows("t", 900, 60)));
    EXPECT_EQ(ask(open, "SELECT count(*) FROM t"), "900");
  }
}

TEST_F(RestoreTest, AReaderOfARollbackModeDatabaseIsWaitedForOnlySoLong) {
  const Connection open = app("a.sqlite3", rows("t", 500, 60) + "BEGIN; SELECT count(*) FROM t");
  const std::string before = pages_of("a.sqlite3");
  for (const int megabytes : {1, 20}) {  // 20 MB do not fit into memory
    refusal("a.sqlite3", snapshot_of(large_rows("t", megabytes)), ErrorKind::kBusy);
    EXPECT_TRUE(pages_of("a.sqlite3") == before);
    EXPECT_FALSE(fs::exists("a.sqlite3-journal"));
  }
  execute(open.get(), "COMMIT");
}

TEST_F(RestoreTest, AReaderOfAWalDatabaseKeepsTheOldStateUntilItEnds) {
  const Connection open =
      app("a.sqlite3", "PRAGMA journal_mode=WAL;" + rows("t", 500, 60) + "BEGIN; SELECT count(*) FROM t");
  restore("a.sqlite3", snapshot_of(rows("t", 900, 60)));
  EXPECT_EQ(ask(open, "SELECT count(*) FROM t"), "500");
  execute(open.get(), "COMMIT");
  EXPECT_EQ(ask(open, "SELECT count(*) FROM t"), "900");
}

// The commits may fall into any moment, before the lock or while it is waited for.
TEST_F(RestoreTest, AnAppThatCommitsAllTheTimeIsReplacedAllTheSame) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    app(name, "PRAGMA journal_mode=" + mode + "; CREATE TABLE w (n); INSERT INTO w VALUES (0);" +
                  large_rows("t", 20));
    const std::string file =
        snapshot_of("CREATE TABLE w (n); INSERT INTO w VALUES (-1000000);" + large_rows("t", 19));
    std::atomic<bool> stop = false;
    std::string failure;
    std::thread writer([&] {
      try {
        const Connection busy = app(name);
        sqlite3_busy_timeout(busy.get(), 20'000);
        while (!stop) execute(busy.get(), "UPDATE w SET n = n + 1");
      } catch (const std::exception& error) {
        failure = error.what();
      }
    });
    ::usleep(20'000);
    const Restored restored = restore(name, file);
    ::usleep(20'000);
    stop = true;
    writer.join();
    EXPECT_EQ(failure, "");
    EXPECT_GT(restored.pages_written, 4000U);
    const Connection reader = app(name);
    EXPECT_EQ(ask(reader, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(ask(reader, "SELECT count(*) FROM t"), "76");
    EXPECT_EQ(ask(reader, "SELECT n BETWEEN -1000000 AND -1 FROM w"), "1");
  }
}

TEST_F(RestoreTest, ADatabaseWhosePagesAreGarbageIsMadeWholeAgain) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    app(name, "PRAGMA journal_mode=" + mode + ";" + rows("t", 3000, 60));
    std::string damaged = test::file_bytes(storage_ / name);
    std::fill(damaged.begin() + 100, damaged.end(), '\xA5');  // all but the header
    test::write_file(storage_ / name, damaged);
    const std::string file = snapshot_of(rows("t", 2000, 60));
    restore(name, file);
    EXPECT_EQ(ask(app(name), "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(ask(app(name), "SELECT count(*) FROM t"), "2000");
  }
}

TEST_F(RestoreTest, ADatabaseThatWasCutShortIsMadeWholeAgain) {
  app("a.sqlite3", rows("t", 3000, 60));
  fs::resize_file("a.sqlite3", 8 * 4096 + 100);
  restore("a.sqlite3", snapshot_of(rows("t", 2000, 60)));
  EXPECT_EQ(ask(app("a.sqlite3"), "PRAGMA integrity_check"), "ok");
}

TEST_F(RestoreTest, AFileThatTookThePlaceOfTheOneThatWasLookedAtIsNotTouched) {
  app("a.sqlite3", rows("t", 500, 60));
  const Candidate there = find_databases({"a.sqlite3"}).at(0);
  const std::string file = snapshot_of(rows("t", 900, 60));
  const RestoreItem item = item_of("a.sqlite3", file);
  const Image image = image_of(item, file);
  fs::copy_file("a.sqlite3", "b");
  fs::rename("b", "a.sqlite3");
  const std::string before = test::file_bytes(storage_ / "a.sqlite3");
  EXPECT_THROW(rewrite(there, image, item.digest, item.pages), Error);
  EXPECT_TRUE(test::file_bytes(storage_ / "a.sqlite3") == before);
}

TEST_F(RestoreTest, AnImageBeginsAsWhatIsThereAndNeverReadsPastIt) {
  const Connection open = app("a.sqlite3", "PRAGMA journal_mode=WAL;" + rows("t", 500, 60));
  const std::string there = pages_of("a.sqlite3");
  for (const std::size_t pages : {there.size() / 4096 - 3, there.size() / 4096 + 5}) {
    RestoreItem item{"a.sqlite3", 4096, static_cast<std::uint32_t>(pages), {}};
    Image image(item, kKey);
    GuardVfs guard;
    SourceDatabase source(guard, find_databases({"a.sqlite3"}).at(0));
    source.pin();
    image.copy_from(source);
    Bytes all;
    image.read(1, item.pages, all);
    std::string wanted = there;
    wanted.resize(pages * 4096);
    EXPECT_TRUE(std::equal(all.begin(), all.end(), view_of(wanted).begin(), view_of(wanted).end()));
    EXPECT_EQ(image.digest(), digest_of(wanted));
  }
}

TEST_F(RestoreTest, AnImageThatNoDiskHasRoomForIsRefusedBeforeAnythingElse) {
  const RestoreItem item{"a.sqlite3", 65536, kMaxPageCount, {}};
  try {
    Image image(item, kKey);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRefused);
    EXPECT_NE(error.message().find("room"), std::string::npos) << error.message();
  }
}

TEST_F(RestoreTest, WhoHasADatabaseOpenIsSaid) {
  app("a[1]*.sqlite3", "CREATE TABLE t (a)");
  app("b.sqlite3", "CREATE TABLE t (a)");
  const int fd = ::open("a[1]*.sqlite3", O_RDONLY);  // before the fork, which inherits it
  ASSERT_GE(fd, 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  ::close(fd);
  RestoreRequest request;
  request.items = {item_of("a[1]*.sqlite3", snapshot_of("CREATE TABLE t (a)")),
                   {"b.sqlite3", 4096, 1, 0, {}},
                   {"c.sqlite3", 4096, 1, 0, {}}};
  const std::vector<TargetPlace> places = find_places(request);
  ::kill(child, SIGKILL);
  ASSERT_EQ(places.at(0).target.holders.size(), 1U);
  EXPECT_EQ(places[0].target.holders[0].pid, static_cast<std::uint32_t>(child));
  EXPECT_NE(places[0].target.holders[0].command, "");
  EXPECT_TRUE(places[1].target.holders.empty());
  EXPECT_EQ(places[1].target.state, TargetState::kThere);
  EXPECT_EQ(places[2].target.state, TargetState::kMissing);
}

TEST_F(RestoreTest, ALinkIsNoPlaceToRestoreTo) {
  app("a.sqlite3", "CREATE TABLE t (a)");
  fs::create_symlink("a.sqlite3", "link.sqlite3");
  fs::create_hard_link("a.sqlite3", "second.sqlite3");
  test::write_file(storage_ / "empty.sqlite3", "");
  RestoreRequest request;
  for (const char* name : {"link.sqlite3", "second.sqlite3", "empty.sqlite3"})
    request.items.push_back({name, 4096, 1, 0, {}});
  for (const TargetPlace& place : find_places(request)) EXPECT_EQ(place.target.state, TargetState::kRefused);
}

}  // namespace
}  // namespace litepull
