// What diff_files says about files that are hostile or damaged.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/diff/diff_fixture.h"

namespace litepull {
namespace {

using test::compare_backwards;
using test::Diff;
using test::kUsers;
using test::said;

TEST_F(Diff, OfWhatIsNoDatabaseSaysWhichOne) {
  change(kUsers, "");
  test::write_file(b(), std::string(5000, 'x'));
  FileDiff diff = compare();
  EXPECT_EQ(diff.error_side, "b");
  EXPECT_NE(diff.error.find("damaged"), std::string::npos) << diff.error;
  diff = diff_files(b(), a(), 0);
  EXPECT_EQ(diff.error_side, "a");
  EXPECT_EQ(diff_files(dir_ / "none", a(), 0).error_side, "a");
}

TEST_F(Diff, OfHostileNamesKeepsThemAsText) {
  const FileDiff diff = change("CREATE TABLE \"\x1b[2J\n\"(k TEXT PRIMARY KEY, v)",
                               "INSERT INTO \"\x1b[2J\n\" VALUES('\x1b[1m',1)", 3);
  ASSERT_EQ(diff.tables.size(), 1U);
  const FileDiff again = parse_file_diff(to_json(diff).dump());
  EXPECT_EQ(again.tables.front().name, "\x1b[2J\n");
  EXPECT_EQ(again.tables.front().rows.front().key, "'\x1b[1m'");
}

TEST_F(Diff, ASortIsNeverTaken) {
  // These statistics make an index look useless.
  const std::string sql =
      "CREATE TABLE t(k TEXT PRIMARY KEY, v); CREATE INDEX i ON t(v, k); INSERT INTO t VALUES('a',1),('b',2);"
      "ANALYZE; UPDATE sqlite_stat1 SET stat='1000000000 1000000000' WHERE idx LIKE 'sqlite_auto%';"
      "UPDATE sqlite_stat1 SET stat='2 1 1' WHERE idx='i'";
  EXPECT_EQ(said(change(sql, "DELETE FROM t WHERE k='a'")), "+0 -1 ~0 by k");
}

TEST_F(Diff, AnIndexOutOfOrderIsDamage) {
  for (const std::string& path : {a(), b()}) {
    auto database = open(path);
    sqlite3_create_collation(database.getHandle(), "BACKWARDS", SQLITE_UTF8, nullptr, compare_backwards);
    database.exec(
        "CREATE TABLE t(k TEXT COLLATE BACKWARDS, v, PRIMARY KEY(k)); INSERT INTO t VALUES('a',1),('b',1)");
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    database.exec(
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=replace(sql,'BACKWARDS','BINARY')");
    if (path == b()) database.exec("PRAGMA user_version=1");
  }
  EXPECT_EQ(said(compare()), "damaged: the rows of a table or an index are out of order");
}

TEST_F(Diff, OfDamagedPagesNeverEndsBadly) {
  std::string rows = std::string(kUsers) + "; CREATE TABLE t(k TEXT PRIMARY KEY, v);";
  for (int i = 0; i < 300; ++i)
    rows += "INSERT INTO t VALUES('key " + std::to_string(i * 7919 % 300) + "', zeroblob(200));";
  open(a()).exec("BEGIN;" + rows + "COMMIT");
  const std::string bytes = test::read_file(a());
  int errors = 0;
  unsigned random = 12345;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = bytes;
    for (int i = 0; i < 3; ++i) {
      random = random * 1664525U + 1013904223U;
      const std::size_t page = (random >> 8) % (damaged.size() / 4096);
      damaged[page * 4096 + (random >> 20) % 128] = static_cast<char>(random >> 13);
    }
    test::write_file(b(), damaged);
    errors += compare(3).error.empty() ? 0 : 1;
  }
  EXPECT_GT(errors, 30);
}

TEST_F(Diff, OfManyTablesIsBounded) {
  // Writes the tables into the schema directly. All of them share the pages of one.
  const auto sql = [](const std::string& columns) {
    return "CREATE TABLE t(" + columns +
           "); PRAGMA writable_schema=ON; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
           "WHERE "
           "i < 10499) INSERT INTO sqlite_schema SELECT 'table', 't' || i, 't' || i, 2, 'CREATE TABLE t' || "
           "i || "
           "'(" +
           columns + ")' FROM n";
  };
  const FileDiff diff = this->diff("", sql("a INTEGER PRIMARY KEY"), sql("a INTEGER PRIMARY KEY, b"));
  EXPECT_EQ(diff.objects.size(), 10'000U);
  EXPECT_EQ(diff.not_listed, 500U);
  EXPECT_EQ(diff.equal_tables, 10'500U);
  EXPECT_LT(to_json(diff).dump().size(), 16U << 20);
}

}  // namespace
}  // namespace litepull
