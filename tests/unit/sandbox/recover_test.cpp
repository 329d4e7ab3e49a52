// Databases as the old script left them, with a part of them still in a WAL or a journal.
#include "client/sandbox/recover.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <random>

#include "client/store/store.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::file_bytes;
using test::listing;
using test::write_file;

constexpr const char* kName = "production.sqlite3";
constexpr int kFirstRows = 400;

// A copy of a live database as the old script made it: what was on disk in the middle of the app's work.
class Recovery : public testing::Test {
 protected:
  Recovery() {
    for (const char* name : {"live", "snapshot", "target"}) fs::create_directory(dir_ / name);
  }

  std::string live() const { return dir_ / "live/" + std::string(kName); }
  std::string copied(const std::string& ending = "") const { return dir_ / "snapshot/" + (kName + ending); }
  std::string recovered(const std::string& ending = "") const { return dir_ / "target/" + (kName + ending); }

  void copy_live() const {
    for (const char* ending : {"", "-wal", "-shm", "-journal"})
      if (fs::exists(live() + ending))
        fs::copy_file(live() + ending, copied(ending), fs::copy_options::overwrite_existing);
  }

  // Copies while `kFirstRows` rows are in the file and `more` rows only in the WAL.
  void copy_with_wal(int more) const {
    SQLite::Database database(live(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a INTEGER, b BLOB)");
    insert(database, kFirstRows);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    for (int i = 0; i < more; ++i) insert(database, 1);
    copy_live();
  }

  // Copies in the middle of a transaction that has overwritten pages of the file.
  void copy_with_hot_journal() const {
    SQLite::Database database(live(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=DELETE; PRAGMA cache_size=4; CREATE TABLE t(a INTEGER, b BLOB)");
    insert(database, kFirstRows);
    database.exec("BEGIN; UPDATE t SET a = -1, b = zeroblob(1000)");
    copy_live();
    ASSERT_GT(fs::file_size(copied("-journal")), 100'000U);
  }

  static void insert(SQLite::Database& database, int rows) {
    database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                  std::to_string(rows) + ") INSERT INTO t SELECT i, randomblob(1000) FROM n");
  }

  void recover() const {
    const Fd snapshot = open_path(dir_ / "snapshot", O_RDONLY | O_DIRECTORY);
    const Fd target = open_path(dir_ / "target", O_RDONLY | O_DIRECTORY);
    const std::string before = listing(dir_ / "snapshot"), content = all_content();
    const auto unchanged = [&] { return listing(dir_ / "snapshot") == before && all_content() == content; };
    try {
      const std::uint64_t bytes =
          recover_database(snapshot.get(), dir_ / "snapshot", kName, {target.get(), dir_ / "target"}, {});
      EXPECT_EQ(bytes, fs::file_size(recovered()));
    } catch (const Error&) {
      EXPECT_TRUE(fs::is_empty(dir_ / "target")) << listing(dir_ / "target");
      EXPECT_TRUE(unchanged());
      throw;
    }
    EXPECT_TRUE(unchanged());
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "target"), fs::directory_iterator()), 1)
        << listing(dir_ / "target");
    struct stat info {};
    ASSERT_EQ(::lstat(recovered().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode, static_cast<mode_t>(S_IFREG | 0600));
  }

  Error failure() const {  // of recover
    try {
      recover();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "recovered";
    return {ErrorKind::kFailed, ""};
  }

  // Reads it as a plain file that nobody writes.
  std::string answer(const std::string& query) const {
    const SQLite::Database database("file:" + recovered() + "?immutable=1",
                                    SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    return const_cast<SQLite::Database&>(database).execAndGet(query).getString();
  }

  std::string all_content() const {
    std::string all;
    for (const auto& entry : fs::directory_iterator(dir_ / "snapshot"))
      if (entry.is_regular_file() && !entry.is_symlink()) all += file_bytes(entry.path().string());
    return all;
  }

  test::TempDir dir_;
};

TEST_F(Recovery, HasTheRowsThatWereInTheWalOnly) {
  copy_with_wal(57);
  recover();
  EXPECT_EQ(answer("SELECT count(*) FROM t"), "457");
  EXPECT_EQ(answer("PRAGMA integrity_check"), "ok");
}

TEST_F(Recovery, TakesBackWhatAHotJournalSays) {
  copy_with_hot_journal();
  recover();
  EXPECT_EQ(answer("SELECT count(*) FROM t WHERE a > 0"), "400");
  EXPECT_EQ(answer("SELECT count(*) FROM t WHERE b = zeroblob(1000)"), "0");
  EXPECT_EQ(answer("PRAGMA integrity_check"), "ok");
}

TEST_F(Recovery, OfADatabaseWithoutSidecarsIsACopy) {
  copy_with_wal(0);
  for (const char* ending : {"-wal", "-shm"}) fs::remove(copied(ending));
  recover();
  EXPECT_EQ(file_bytes(recovered()), file_bytes(copied()));
}

// As after a crash, commits up to the torn one count, and nothing of the torn one.
TEST_F(Recovery, OfATornWalHasACommittedState) {
  copy_with_wal(30);
  const std::string wal = file_bytes(copied("-wal"));
  int last = kFirstRows - 1;
  for (std::size_t size = 0; size <= wal.size(); size += wal.size() / 16) {
    write_file(copied("-wal"), wal.substr(0, size));
    recover();
    EXPECT_EQ(answer("PRAGMA integrity_check"), "ok");
    const int rows = std::stoi(answer("SELECT count(*) FROM t"));
    EXPECT_GE(rows, std::max(last, kFirstRows));
    EXPECT_LE(rows, kFirstRows + 30);
    last = rows;
    fs::remove(recovered());
  }
  EXPECT_GT(last, kFirstRows + 20);
}

TEST_F(Recovery, OfAStaleSharedMemoryDoesNotLookAtIt) {
  copy_with_wal(5);
  write_file(copied("-shm"), std::string(32768, '\x5A'));
  recover();
  EXPECT_EQ(answer("SELECT count(*) FROM t"), "405");
}

TEST_F(Recovery, OfGarbageSaysSo) {
  copy_with_wal(5);
  std::mt19937 random(7);
  std::string garbage(20'000, '\0');
  for (char& byte : garbage) byte = static_cast<char>(random());
  write_file(copied(), garbage);
  fs::remove(copied("-wal"));
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
  EXPECT_NE(error.message().find("not a database"), std::string::npos) << error.message();
}

TEST_F(Recovery, OfDamageEndsWithAFileOrAReason) {
  copy_with_wal(20);
  const std::string database = file_bytes(copied()), wal = file_bytes(copied("-wal"));
  std::mt19937 random(11);
  int recovered_count = 0;
  for (int i = 0; i < 40; ++i) {
    std::string bad = database, bad_wal = wal;
    for (int hit = 0; hit < 20; ++hit)
      bad[random() % (i % 2 == 0 ? 100 : bad.size())] = static_cast<char>(random());
    for (int hit = 0; hit < 3; ++hit) bad_wal[random() % bad_wal.size()] = static_cast<char>(random());
    write_file(copied(), bad);
    write_file(copied("-wal"), bad_wal);
    try {
      recover();
      ++recovered_count;
      fs::remove(recovered());
    } catch (const Error& error) {
      EXPECT_NE(error.message(), "");
    }
  }
  EXPECT_GT(recovered_count, 0);
}

// The journal itself says how long the database was, so it may say anything.
TEST_F(Recovery, OfAJournalThatAsksForTerabytesEnds) {
  copy_with_hot_journal();
  std::string journal = file_bytes(copied("-journal"));
  journal[16] = '\x3F';  // pages of the database before the transaction, big-endian
  write_file(copied("-journal"), journal);
  EXPECT_EQ(failure().kind(), ErrorKind::kCorrupt);
}

// SQLite deletes the super-journal that a hot journal names, wherever that is.
TEST_F(Recovery, OfAJournalOfSeveralDatabasesTouchesNoOtherFile) {
  copy_with_hot_journal();
  const std::string precious = dir_ / "precious";
  write_file(precious, "precious");
  std::string journal = file_bytes(copied("-journal"));
  std::uint32_t sum = 0;
  for (const char c : precious) sum += static_cast<std::uint32_t>(static_cast<signed char>(c));
  const auto big_endian = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  journal += big_endian(0x40000000 / 4096 + 1) + precious +
             big_endian(static_cast<std::uint32_t>(precious.size())) + big_endian(sum) +
             "\xD9\xD5\x05\xF9\x20\xA1\x63\xD7";
  write_file(copied("-journal"), journal);
  const Error error = failure();
  EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
  EXPECT_NE(error.message().find("several databases"), std::string::npos) << error.message();
  EXPECT_EQ(file_bytes(precious), "precious");
}

TEST_F(Recovery, FollowsNoLinks) {
  copy_with_wal(5);
  write_file(dir_ / "elsewhere", file_bytes(copied("-wal")));
  fs::remove(copied("-wal"));
  fs::create_symlink(dir_ / "elsewhere", copied("-wal"));
  EXPECT_EQ(failure().kind(), ErrorKind::kCorrupt);
  fs::remove(copied("-wal"));
  fs::create_symlink(dir_ / "elsewhere", recovered());
  const Fd snapshot = open_path(dir_ / "snapshot", O_RDONLY | O_DIRECTORY);
  const Fd target = open_path(dir_ / "target", O_RDONLY | O_DIRECTORY);
  EXPECT_THROW(recover_database(snapshot.get(), "", kName, {target.get(), dir_ / "target"}, {}), Error);
  EXPECT_TRUE(fs::is_symlink(recovered())) << "what was there before is not ours to remove";
}

TEST_F(Recovery, IsStoppedOnRequest) {
  copy_with_wal(5);
  const Fd snapshot = open_path(dir_ / "snapshot", O_RDONLY | O_DIRECTORY);
  const Fd target = open_path(dir_ / "target", O_RDONLY | O_DIRECTORY);
  Cancel cancel;
  cancel.request();
  EXPECT_THROW(recover_database(snapshot.get(), "", kName, {target.get(), dir_ / "target"}, cancel), Error);
  EXPECT_TRUE(fs::is_empty(dir_ / "target"));
}

}  // namespace
}  // namespace litepull
