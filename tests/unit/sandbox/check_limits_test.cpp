// The limits of the child that checks a database.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <csignal>
#include <filesystem>

#include "client/sandbox/child.h"
#include "client/verify/verify.h"
#include "client/verify/verify_snapshot.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::long_or;

// A database that takes many short steps to check.
void make_large(const std::string& path, int rows) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=off; PRAGMA synchronous=off; CREATE TABLE t(a, b, c, d)");
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) +
                ") INSERT INTO t SELECT random(), random(), random(), random() FROM n");
  for (const char* column : {"a", "b", "c", "d"})
    database.exec(std::string("CREATE INDEX i") + column + " ON t(" + column + ")");
}

TEST(TheLimitsOfACheck, LetWorkThatGoesOnTakeAsLongAsItNeeds) {
  constexpr std::uint64_t kShortStallMs = 1'000;
  const test::TempDir dir;
  std::uint64_t took_us = 0;
  for (int rows = long_or(400'000, 3'000'000); took_us < 2 * kShortStallMs * 1000; rows *= 2) {
    fs::remove(dir / "a.sqlite3");
    make_large(dir / "a.sqlite3", rows);
    const auto bytes = fs::file_size(dir / "a.sqlite3");
    const std::uint64_t begin_us = monotonic_us();
    const FileCheck check =
        check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, bytes, {}, kShortStallMs);
    took_us = monotonic_us() - begin_us;
    ASSERT_EQ(check.problems, std::vector<std::string>{});
  }
  std::printf("  a check of %.1f s, with signs of life at least every %.1f s\n",
              static_cast<double>(took_us) / 1e6, static_cast<double>(kShortStallMs) / 1e3);
}

// The index is on an expression that takes for ever with the value in its row.
TEST(TheLimitsOfACheck, EndWorkThatGetsNowhereAndSayThatTheFileWasNotChecked) {
  const test::TempDir dir;
  const std::string endless = "CREATE INDEX i ON t(instr(hex(zeroblob(x)), hex(zeroblob(x / 2)) || ''1''))";
  const auto set_schema = [&](const std::string& sql) {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "CREATE TABLE IF NOT EXISTS t(x); CREATE INDEX IF NOT EXISTS i ON t(x); PRAGMA writable_schema=ON");
    database.exec("INSERT INTO t SELECT 50000000 WHERE NOT EXISTS (SELECT 1 FROM t)");
    database.exec("UPDATE sqlite_schema SET sql = '" + sql + "' WHERE name = 'i'");
  };
  set_schema(endless);
  const FileCheck check = check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, 100'000, {}, 2'000);
  ASSERT_EQ(check.problems.size(), 1U);
  EXPECT_EQ(check.problems[0],
            std::string(kNotChecked) + "the check was not finished: it got nowhere for 2 s and was ended");
}

TEST(TheLimitsOfACheck, GrowWithTheFileAndNotInSteps) {
  constexpr std::uint64_t kGiB = 1ULL << 30;
  EXPECT_GE(max_cpu_s(0), 3600U);
  EXPECT_GT(max_cpu_s(kGiB - 1), max_cpu_s(kGiB / 2));
  EXPECT_GE(max_cpu_s(100 * kGiB), 99 * max_cpu_s(kGiB) / 2);
  EXPECT_LT(max_cpu_s(kGiB), 24 * 3600U) << "a hostile file ends some day";
  EXPECT_GE(max_memory_bytes(kGiB), 5 * kGiB) << "a row of a billion bytes";
}

TEST(TheLimitsOfACheck, SayWhichOneItWas) {
  EXPECT_EQ(end_of_child(0), "");
  EXPECT_TRUE(
      contains(end_of_child(SIGXCPU), "more processor time than a sound database of that size needs"));
  EXPECT_TRUE(contains(end_of_child(SIGKILL), "memory runs out"));
  EXPECT_TRUE(contains(end_of_child(SIGSEGV), "it crashed (signal 11)"));
  EXPECT_EQ(end_of_child(3 << 8), "it ended with status 3");
}

TEST(TheLimitsOfACheck, HoldARowOfHundredsOfMegabytes) {
  const test::TempDir dir;
  const int bytes = long_or(280 << 20, 900'000'000);
  {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=off; PRAGMA synchronous=off; CREATE TABLE t(x NOT NULL)");
    database.exec("INSERT INTO t VALUES(zeroblob(" + std::to_string(bytes) + "))");
  }
  const FileCheck check =
      check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, fs::file_size(dir / "a.sqlite3"), {});
  EXPECT_EQ(check.problems, std::vector<std::string>{});
}

TEST(TheLimitsOfACheck, AreNotMetByTenThousandTablesWithLongNames) {
  const test::TempDir dir;
  const int tables = long_or(1'000, 10'000);
  {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=off; BEGIN");
    for (int i = 0; i < tables; ++i)
      database.exec("CREATE TABLE \"" + std::to_string(i) + std::string(1'000, '\x01') + "\"(x)");
    database.exec("COMMIT");
  }
  const FileCheck check =
      check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, fs::file_size(dir / "a.sqlite3"), {});
  EXPECT_EQ(check.problems, std::vector<std::string>{});
  EXPECT_EQ(check.tables.size(), static_cast<std::size_t>(tables));
}

}  // namespace
}  // namespace litepull
