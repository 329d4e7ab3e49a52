// The sink gets the source from sqlite3_backup byte for byte and in file order.
#include "agent/backup_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "agent/sqlite.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

class BackupSinkTest : public testing::Test {
 protected:
  BackupSinkTest() { initialize_sqlite(); }

  std::string make(const std::string& name, int page_size, int rows) const {
    const std::string path = directory_ / name;
    const Connection made = open_connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(made.get(), ("PRAGMA page_size=" + std::to_string(page_size)).c_str());
    execute(made.get(), "CREATE TABLE t(a)");
    execute(made.get(), ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                         std::to_string(rows) + ") INSERT INTO t SELECT randomblob(3000) FROM n")
                            .c_str());
    return path;
  }

  const TempDir directory_;
};

struct Copy {
  std::string rest;  // pages 2 and on
  std::string page_one;
};

// Copies in steps of `pages` pages.
Copy copy_of(const std::string& path, std::uint32_t page_size, std::uint32_t page_count, int pages) {
  Copy copy;
  const Connection source = open_connection(path, SQLITE_OPEN_READONLY, nullptr);
  BackupSink sink(page_size, page_count, [&](ByteView page) {
    copy.rest.append(reinterpret_cast<const char*>(page.data()), page.size());
  });
  sqlite3_backup* backup = sqlite3_backup_init(sink.connection(), "main", source.get(), "main");
  while (sqlite3_backup_step(backup, pages) == SQLITE_OK) {
  }
  EXPECT_EQ(sqlite3_backup_finish(backup), SQLITE_OK);
  sink.finish();
  copy.page_one.assign(sink.page_one().begin(), sink.page_one().end());
  return copy;
}

TEST_F(BackupSinkTest, PagesComeInFileOrderWhateverTheirSizeAndTheSteps) {
  for (const int page_size : {512, 1024, 4096, 8192, 65536})
    for (const int rows : {0, 1, 30, 400})
      for (const int pages : {1, 7, 1000}) {
        const std::string path =
            make(std::to_string(page_size) + "-" + std::to_string(rows) + "-" + std::to_string(pages),
                 page_size, rows);
        const std::string file = read_file(path);
        const auto size = static_cast<std::uint32_t>(page_size);
        const Copy copy = copy_of(path, size, static_cast<std::uint32_t>(file.size()) / size, pages);
        ASSERT_EQ(copy.rest, file.substr(size)) << path;
        ASSERT_EQ(copy.page_one.substr(0, 24), file.substr(0, 24)) << path;
        ASSERT_EQ(copy.page_one.substr(100), file.substr(100, size - 100)) << path;
      }
}

// SQLite never reads the lock-byte page. Here something is written on it.
TEST_F(BackupSinkTest, TheLockBytePageIsZerosPastAGibibyte) {
  constexpr std::uint32_t kPageSize = 65536, kPages = 16'500;
  constexpr off_t kLockByte = 1 << 30;
  const std::string path = make("large", kPageSize, 1);
  ASSERT_EQ(::truncate(path.c_str(), off_t{kPages} * kPageSize), 0);
  const Fd file = open_path(path, O_RDWR);
  const std::uint8_t count[] = {0, 0, kPages >> 8, kPages & 0xFF};
  ASSERT_EQ(::pwrite(file.get(), count, 4, 28), 4);
  ASSERT_EQ(::pwrite(file.get(), "mark", 4, kLockByte + 10), 4);
  ASSERT_EQ(::pwrite(file.get(), "mark", 4, kLockByte + kPageSize), 4);
  std::uint64_t taken = 0, marks = 0, not_zero_at = 0;
  const Connection source = open_connection(path, SQLITE_OPEN_READONLY, nullptr);
  BackupSink sink(kPageSize, kPages, [&](ByteView page) {
    ++taken;
    if (taken > 10 && std::memcmp(page.data() + 10, "mark", 4) == 0) ++marks;
    if (taken > 10 && std::memcmp(page.data(), "mark", 4) == 0) not_zero_at = taken + 1;
  });
  sqlite3_backup* backup = sqlite3_backup_init(sink.connection(), "main", source.get(), "main");
  EXPECT_EQ(sqlite3_backup_step(backup, -1), SQLITE_DONE);
  EXPECT_EQ(sqlite3_backup_finish(backup), SQLITE_OK);
  sink.finish();
  EXPECT_EQ(taken, kPages - 1);
  EXPECT_EQ(marks, 0U);
  EXPECT_EQ(not_zero_at, kLockByte / kPageSize + 2) << "the page after it is in its place";
}

TEST_F(BackupSinkTest, WhatTheTakerThrowsEndsTheBackupAndArrives) {
  const std::string path = make("source", 4096, 400);
  const Connection source = open_connection(path, SQLITE_OPEN_READONLY, nullptr);
  int taken = 0;
  BackupSink sink(4096, 1000, [&](ByteView) {
    if (++taken == 50) throw std::runtime_error("enough");
  });
  sqlite3_backup* backup = sqlite3_backup_init(sink.connection(), "main", source.get(), "main");
  EXPECT_NE(sqlite3_backup_step(backup, -1), SQLITE_DONE);
  sqlite3_backup_finish(backup);
  EXPECT_THROW(sink.rethrow(), std::runtime_error);
  EXPECT_EQ(taken, 50) << "nothing is handed on after a failure";
}

TEST_F(BackupSinkTest, ABackupThatIsNotWholeIsNoCopy) {
  const std::string path = make("source", 4096, 400);
  const Connection source = open_connection(path, SQLITE_OPEN_READONLY, nullptr);
  BackupSink sink(4096, 1000, [](ByteView) {});
  sqlite3_backup* backup = sqlite3_backup_init(sink.connection(), "main", source.get(), "main");
  EXPECT_EQ(sqlite3_backup_step(backup, 100), SQLITE_OK);
  sqlite3_backup_finish(backup);
  EXPECT_THROW(sink.finish(), Error);
}

}  // namespace
}  // namespace litepull::test
