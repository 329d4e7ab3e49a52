// Restores a snapshot's file onto a database: the transaction that replaces it, what is refused before that,
// and what a client may not send.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "agent/beneath.h"
#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/image.h"
#include "agent/new_file.h"
#include "agent/page_intake.h"
#include "agent/rewrite.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "agent/target.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

using test::TempDir;

const DigestKey kKey = test::key_of(1);
constexpr RewritePatience kImpatient{100'000, 100'000};

Digest digest_of(const std::string& bytes) {
  StreamingDigest digest(kKey);
  digest.add({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return digest.result();
}

ByteView view_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

// Removes what may differ between a snapshot's file and the database that it was restored to.
std::string without_counters(std::string file) {
  for (const auto& [at, count] : {std::pair{18, 2}, {24, 4}, {40, 4}, {92, 8}})
    file.replace(static_cast<std::size_t>(at), static_cast<std::size_t>(count),
                 static_cast<std::size_t>(count), '\0');
  return file;
}

std::string rows(const char* table, int count, int bytes) {
  return std::string("CREATE TABLE ") + table + " (a INTEGER PRIMARY KEY, b); CREATE INDEX i_" + table +
         " ON " + table + " (b); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
         std::to_string(count) + ") INSERT INTO " + table + " (b) SELECT hex(randomblob(" +
         std::to_string(bytes) + ")) FROM n;";
}

std::string large_rows(const char* table, int megabytes) {
  return std::string("CREATE TABLE ") + table +
         " (a INTEGER PRIMARY KEY, b); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
         "i < " +
         std::to_string(4 * megabytes) + ") INSERT INTO " + table + " (b) SELECT randomblob(262144) FROM n;";
}

// Everything runs with a storage directory of its own as the working directory, as in the agent.
class RestoreTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sqlite3_initialize();   // the agent's SQLite does not do it by itself
    keep_sqlite_beneath();  // and before another thread uses SQLite
  }
  RestoreTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
  }
  ~RestoreTest() override { EXPECT_EQ(::chdir("/"), 0); }

  Connection open_at(const std::string& path, const std::string& sql) {
    Connection connection = open_connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(connection.get(), "PRAGMA synchronous=OFF");
    execute(connection.get(), sql.c_str());
    return connection;
  }
  Connection app(const std::string& name, const std::string& sql = "") {
    return open_at(storage_ / name, sql);
  }

  // A snapshot's file as a pull makes it of such a database.
  std::string snapshot_of(const std::string& sql) {
    const std::string path = elsewhere_ / ("s" + std::to_string(++snapshots_));
    open_at(path, sql);
    return test::file_bytes(path);
  }

  static std::string ask(const Connection& connection, const char* sql) {
    Statement value(connection.get(), sql);
    return value.step() ? value.text() : "";
  }

  RestoreItem item_of(const std::string& name, const std::string& file) {
    std::uint32_t page_size = static_cast<std::uint8_t>(file[16]) << 8 | static_cast<std::uint8_t>(file[17]);
    if (page_size == 1) page_size = 65536;
    return {name, page_size, static_cast<std::uint32_t>(file.size() / page_size), digest_of(file)};
  }

  Image image_of(const RestoreItem& item, const std::string& file) {
    Image image(item, kKey);
    image.write(1, view_of(file));
    return image;
  }

  Restored restore(const std::string& name, const std::string& file, const RewritePatience& patience = {}) {
    const RestoreItem item = item_of(name, file);
    const Image image = image_of(item, file);
    return rewrite(find_databases({name}).at(0), image, item.digest, item.pages, patience);
  }

  // The pages of the database as a reader sees them now.
  std::string pages_of(const std::string& name) {
    const Connection reader = app(name, "PRAGMA writable_schema=ON");
    Statement pages(reader.get(), "SELECT data FROM sqlite_dbpage('main')");
    std::string file;
    while (pages.step()) {
      const ByteView page = pages.blob();
      file.append(page.begin(), page.end());
    }
    return file;
  }

  std::string refusal(const std::string& name, const std::string& file, ErrorKind kind) {
    try {
      restore(name, file, kImpatient);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      return error.message();
    }
    ADD_FAILURE() << name << " was restored";
    return "";
  }

  TempDir storage_;
  TempDir elsewhere_;
  int snapshots_ = 0;
};

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

// --- A database that is missing ---

TEST_F(RestoreTest, AMissingDatabaseAppearsWholeWithTheModeOfItsSiblings) {
  app("sibling.sqlite3", "CREATE TABLE t (a)");
  ASSERT_EQ(::chmod("sibling.sqlite3", 0640), 0);
  fs::create_directory("tenants");
  const std::string file = snapshot_of(rows("t", 900, 60));
  for (const std::string name : {"a.sqlite3", "tenants/b.sqlite3"}) {
    const RestoreItem item = item_of(name, file);
    NewFile fresh(name, image_of(item, file));
    EXPECT_FALSE(fs::exists(name));
    fresh.publish();
    EXPECT_TRUE(test::file_bytes(storage_ / name) == file);
    struct stat status {};
    ASSERT_EQ(::stat(name.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
    EXPECT_EQ(status.st_nlink, 1U);
  }
  EXPECT_THROW(NewFile("gone/c.sqlite3", image_of(item_of("c", file), file)), Error);
  fs::create_directory_symlink("tenants", "link");
  EXPECT_THROW(NewFile("link/c.sqlite3", image_of(item_of("c", file), file)), Error);
}

TEST_F(RestoreTest, ANewFileThatIsNotPublishedGoesAndOneOfAKilledRunIsSweptUp) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  const RestoreItem item = item_of("a.sqlite3", file);
  const std::string before = test::listing(storage_.path());
  test::write_file(storage_ / ".litepull-new-0123456789abcdef", "left");
  {
    const NewFile fresh("a.sqlite3", image_of(item, file));
    NewFile other("b.sqlite3", image_of(item, file));  // does not think that the first one was left behind
    EXPECT_EQ(std::distance(fs::directory_iterator("."), fs::directory_iterator()), 2);
    other.publish();
    fs::remove("b.sqlite3");
  }
  EXPECT_EQ(test::listing(storage_.path()), before);
}

TEST_F(RestoreTest, ASidecarOfTheDatabaseThatWasThereIsNeverPlayedIntoANewOne) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  const RestoreItem item = item_of("a.sqlite3", file);
  for (const std::string ending : {"-wal", "-journal", "-shm"}) {
    test::write_file(storage_ / ("a.sqlite3" + ending), "stale");
    EXPECT_THROW(NewFile("a.sqlite3", image_of(item, file)), Error) << ending;
    fs::remove("a.sqlite3" + ending);
    NewFile fresh("a.sqlite3", image_of(item, file));
    test::write_file(storage_ / ("a.sqlite3" + ending), "stale");
    EXPECT_THROW(fresh.publish(), Error) << ending;
    fs::remove("a.sqlite3" + ending);
  }
  NewFile fresh("a.sqlite3", image_of(item, file));
  test::write_file(storage_ / "a.sqlite3", "the app's");
  EXPECT_THROW(fresh.publish(), Error);
  EXPECT_EQ(test::file_bytes(storage_ / "a.sqlite3"), "the app's");
}

TEST_F(RestoreTest, WhatIsNoDatabaseNeverGetsADatabasesName) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  std::string text = file, pages = file, garbage = file;
  text.replace(0, 16, "* * * * * root x");
  pages.replace(28, 4, std::string("\0\0\xFF\0", 4));
  garbage.replace(100, 412, std::string(412, '#'));
  const std::string before = test::listing(storage_.path());
  for (const std::string& content : {text, pages, garbage})
    EXPECT_THROW(NewFile("a.sqlite3", image_of(item_of("a.sqlite3", file), content)), Error);
  EXPECT_EQ(test::listing(storage_.path()), before);
}

// A WAL that was put beside another file gives it a first page.
TEST_F(RestoreTest, AFileIsReadAsADatabaseOnlyIfItBeginsAsOneItself) {
  app("a.sqlite3", "PRAGMA journal_mode=WAL; CREATE TABLE t (a)");
  const Connection open = app("a.sqlite3", "INSERT INTO t VALUES (1)");
  test::write_file(storage_ / "secret", std::string(8192, '#'));
  fs::copy_file("a.sqlite3-wal", "secret-wal");
  GuardVfs guard;
  try {
    SourceDatabase(guard, find_databases({"secret"}).at(0));
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorrupt) << error.message();
  }
}

// A planted journal names the journal of a transaction over several databases. SQLite removes the file that
// it names.
TEST_F(RestoreTest, AFileThatAPlantedJournalNamesIsNotTouched) {
  const std::string victim = elsewhere_ / "victim-mj0123459ab", content = "./a.sqlite3-journal";
  test::write_file(victim, content);
  app("a.sqlite3", rows("t", 90, 60));
  {
    const Connection writer = app("b.sqlite3", rows("t", 90, 60));
    execute(writer.get(), "BEGIN; UPDATE t SET b = 0");
    fs::copy_file("b.sqlite3-journal", "journal");
    execute(writer.get(), "ROLLBACK");
  }
  fs::rename("b.sqlite3", "a.sqlite3");
  std::string journal = test::file_bytes(storage_ / "journal");
  const auto number = [](std::uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                       static_cast<char>(value >> 8), static_cast<char>(value)};
  };
  std::uint32_t sum = 0;
  for (const char c : victim) sum += static_cast<std::uint32_t>(static_cast<signed char>(c));
  journal += number(0x40000000 / 4096 + 1) + victim + number(static_cast<std::uint32_t>(victim.size())) +
             number(sum) + "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  test::write_file(storage_ / "a.sqlite3-journal", journal);
  try {
    restore("a.sqlite3", snapshot_of(rows("t", 90, 60)), kImpatient);
  } catch (const Error&) {
  }
  ASSERT_TRUE(fs::exists(victim));
  EXPECT_EQ(test::file_bytes(victim), content);
}

// --- Where ---

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

// --- What a client may not send ---

class IntakeTest : public RestoreTest {
 protected:
  static Bytes put(std::vector<PageRun> runs, std::uint32_t database = 0, int missing_bytes = 0) {
    PagesHead head;
    head.database = database;
    head.runs = std::move(runs);
    std::uint32_t pages = 0;
    for (const PageRun& run : head.runs) pages += run.count;
    head.raw_bytes = pages * 4096 - static_cast<std::uint32_t>(missing_bytes);
    Bytes body = encode(head);
    for (const PageRun& run : head.runs)
      for (std::uint32_t i = 0; i < run.count; ++i)
        body.insert(body.end(), 4096, static_cast<std::uint8_t>(run.first + i));
    body.resize(body.size() - static_cast<std::size_t>(missing_bytes));
    return body;
  }

  std::uint8_t byte_of(std::uint32_t page) {
    Bytes out;
    image_.read(page, 1, out);
    return out[17];
  }

  Image image_{RestoreItem{"a", 4096, 40, {}}, kKey};
  PageIntake intake_;
};

TEST_F(IntakeTest, PagesGoWhereTheyBelongHoweverTheyAreCutIntoMessages) {
  intake_.begin(0, image_);
  intake_.ask({{2, 3}, {10, 1}, {20, 4}});
  intake_.put(put({{2, 1}}));
  intake_.put(put({{3, 2}, {10, 1}, {20, 2}}));
  intake_.put(put({{22, 2}}));
  intake_.wait_for_all();
  for (const std::uint32_t page : {2U, 3U, 4U, 10U, 20U, 21U, 22U, 23U}) EXPECT_EQ(byte_of(page), page);
  for (const std::uint32_t page : {1U, 5U, 9U, 11U, 19U, 24U, 40U}) EXPECT_EQ(byte_of(page), 0);
}

TEST_F(IntakeTest, PagesThatWereNotAskedForAreRefusedAndNotWritten) {
  EXPECT_THROW(intake_.put(put({{1, 1}})), Error);  // nothing is prepared
  intake_.begin(0, image_);
  intake_.ask({{2, 3}, {10, 1}});
  for (const auto& runs : std::vector<std::vector<PageRun>>{{{1, 1}},
                                                            {{3, 1}},
                                                            {{2, 4}},
                                                            {{2, 3}, {11, 1}},
                                                            {{2, 3}, {10, 2}},
                                                            {{10, 1}},
                                                            {{41, 1}},
                                                            {{2, ~0U}}}) {
    PagesHead head;
    head.runs = runs;
    head.raw_bytes = 4096;
    Bytes body = encode(head);
    body.resize(body.size() + 4096, 0xEE);
    EXPECT_THROW(intake_.put(body), Error);
  }
  EXPECT_THROW(intake_.put(put({{2, 1}}, 1)), Error);     // another database
  EXPECT_THROW(intake_.put(put({{2, 1}}, 0, 1)), Error);  // pages of another size
  for (std::uint32_t page = 1; page <= 40; ++page) EXPECT_EQ(byte_of(page), 0);
  intake_.put(put({{2, 3}, {10, 1}}));
  EXPECT_THROW(intake_.put(put({{10, 1}})), Error);  // twice
}

TEST_F(IntakeTest, APayloadThatExpandsToSomethingElseIsRefused) {
  intake_.begin(0, image_);
  intake_.ask({{1, 2}});
  const Bytes raw(std::size_t{1} << 20, 7);
  Bytes bomb(ZSTD_compressBound(raw.size()));
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), raw.data(), raw.size(), 3));
  PagesHead head;
  head.codec = Codec::kZstd;
  head.runs = {{1, 2}};
  head.raw_bytes = 2 * 4096;
  Bytes body = encode(head);
  body.insert(body.end(), bomb.begin(), bomb.end());
  EXPECT_THROW(intake_.put(body), Error);
}

TEST_F(IntakeTest, AskingWaitsWhileTooMuchIsUnansweredAndEndsWithTheClient) {
  Image large{RestoreItem{"a", 512, 400'000, {}}, kKey};
  intake_.begin(0, large);
  std::vector<PageRun> runs;
  for (std::uint32_t i = 0; i < kMaxRuns; ++i) runs.push_back({2 * i + 1, 1});
  for (std::size_t i = 0; i < PageIntake::kMaxRunsAsked / kMaxRuns; ++i) intake_.ask(runs);
  std::thread gone([&] {
    ::usleep(50'000);
    intake_.fail(std::make_exception_ptr(Error(ErrorKind::kCancelled, "the client is gone")));
  });
  EXPECT_THROW(intake_.ask(runs), Error);
  EXPECT_THROW(intake_.wait_for_all(), Error);
  gone.join();
}

}  // namespace
}  // namespace litepull
