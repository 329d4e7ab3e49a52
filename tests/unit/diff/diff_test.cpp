// What diff_files says about two databases, case by case.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/diff/diff_fixture.h"

namespace litepull {
namespace {

using test::compare_backwards;
using test::counts_of;
using test::Diff;
using test::kUsers;
using test::said;

std::string note_of(const FileDiff& diff) {
  return diff.tables.empty() ? "" : diff.tables.front().note;
}

std::string shown(const FileDiff::Row& row) {
  std::string text = std::string(change_text(row.change)) + " " + row.key;
  for (const auto& cell : row.cells) text += "; " + cell.column + " " + cell.a + " " + cell.b;
  return text + (row.more > 0 ? "; " + std::to_string(row.more) + " more" : "");
}

std::vector<std::string> rows_of(const FileDiff& diff) {
  std::vector<std::string> rows;
  for (const auto& table : diff.tables)
    for (const auto& row : table.rows) rows.push_back(shown(row));
  return rows;
}

std::vector<std::string> objects_of(const FileDiff& diff) {
  std::vector<std::string> objects;
  for (const auto& object : diff.objects)
    objects.push_back(std::string(change_text(object.change)) + " " + object.type + " " + object.name);
  return objects;
}

std::vector<std::string> settings_of(const FileDiff& diff) {
  std::vector<std::string> settings;
  for (const auto& setting : diff.settings)
    settings.push_back(setting.name + " " + setting.a + " " + setting.b);
  return settings;
}

using Strings = std::vector<std::string>;

TEST_F(Diff, OfEqualContentIsNothing) {
  const FileDiff diff = change(kUsers, "");
  EXPECT_FALSE(diff.differs());
  EXPECT_FALSE(diff.failed());
  EXPECT_EQ(diff.equal_tables, 1U);
}

TEST_F(Diff, CountsRowsThatWereAddedRemovedAndChanged) {
  const FileDiff diff = change(kUsers,
                               "INSERT INTO users VALUES(7,'dan',1),(-5,'eve',2);"
                               "DELETE FROM users WHERE id=2; UPDATE users SET age=31 WHERE id=1");
  EXPECT_EQ(said(diff), "+2 -1 ~1 by id");
  EXPECT_EQ(diff.tables.front().rows_a, 3U);
  EXPECT_EQ(diff.tables.front().rows_b, 4U);
  EXPECT_TRUE(diff.tables.front().rows.empty());
}

TEST_F(Diff, ShowsAsManyRowsAsAskedFor) {
  const std::string changes =
      "INSERT INTO users VALUES(7,'dan',x'0102'); DELETE FROM users WHERE id=2;"
      "UPDATE users SET name='o''neil', age=NULL WHERE id=1";
  const FileDiff diff = change(kUsers, changes, 10);
  EXPECT_EQ(rows_of(diff), (Strings{"changed 1; name 'ann' 'o''neil'; age 30 NULL", "removed 2", "added 7"}));
  EXPECT_EQ(rows_of(diff_files(a(), b(), 1)).size(), 1U);
}

TEST_F(Diff, ShortensWhatItShows) {
  const FileDiff diff =
      change("CREATE TABLE t(k TEXT PRIMARY KEY, a, b, c, d, e); INSERT INTO t(k) VALUES('k')",
             "UPDATE t SET a=x'00', b=zeroblob(3000), c=replace(hex(zeroblob(50)),'00','ä'), "
             "d=1.5, e=2",
             5);
  const std::string chars = "ääääääääääääääääääää";
  EXPECT_EQ(rows_of(diff),
            Strings{"changed 'k'; a NULL (blob of 1 byte); b NULL (blob of 3000 bytes); c NULL '" + chars +
                    "...'; d NULL 1.5; 1 more"});
}

struct Keys {
  const char* name;
  const char* first;
  const char* then;
  const char* said;
  const char* note = "";
};

void PrintTo(const Keys& keys, std::ostream* out) {
  *out << keys.name;
}

class DiffKeys : public Diff, public testing::WithParamInterface<Keys> {};

TEST_P(DiffKeys, TellRowsApart) {
  const FileDiff diff = change(GetParam().first, GetParam().then);
  EXPECT_EQ(said(diff), GetParam().said);
  EXPECT_NE(note_of(diff).find(GetParam().note), std::string::npos) << note_of(diff);
  EXPECT_EQ(note_of(diff).empty(), std::string(GetParam().note).empty()) << note_of(diff);
}

INSTANTIATE_TEST_SUITE_P(
    All, DiffKeys,
    testing::Values(
        Keys{"Composite",
             "CREATE TABLE t(a TEXT, n INT, v, PRIMARY KEY(n, a));"
             "INSERT INTO t VALUES('x',1,1),('x',2,1),('y',1,1)",
             "UPDATE t SET v=2 WHERE a='x' AND n=2; DELETE FROM t WHERE a='y'; INSERT INTO t VALUES('a',9,9)",
             "+1 -1 ~1 by (n, a)"},
        Keys{"WithoutRowid",
             "CREATE TABLE t(a TEXT, n INT, v, PRIMARY KEY(n, a)) WITHOUT ROWID;"
             "INSERT INTO t VALUES('x',1,1),('x',2,1),('y',1,1)",
             "UPDATE t SET v=2 WHERE a='x' AND n=2; DELETE FROM t WHERE a='y'; INSERT INTO t VALUES('a',9,9)",
             "+1 -1 ~1 by (n, a)"},
        Keys{"Descending",
             "CREATE TABLE t(a, b, v, PRIMARY KEY(a DESC, b));"
             "INSERT INTO t VALUES(1,1,1),(2,1,1),(2,2,1),('x',1,1),(x'01',1,1)",
             "DELETE FROM t WHERE a=2 AND b=1; INSERT INTO t VALUES(3,0,0); UPDATE t SET v=2 WHERE a='x'",
             "+1 -1 ~1 by (a, b)"},
        Keys{"IntegerPrimaryKeyDescIsNoRowid",
             "CREATE TABLE t(a INTEGER PRIMARY KEY DESC, v); INSERT INTO t VALUES(1,1),(2,2),(3,3)",
             "DELETE FROM t WHERE a=2", "+0 -1 ~0 by a"},
        Keys{
            "MixedTypes",
            "CREATE TABLE t(k PRIMARY KEY, v);"
            "INSERT INTO t VALUES(1,1),(1.5,1),('1',1),(x'31',1),(9007199254740993,1),(9007199254740992.0,1)",
            "DELETE FROM t WHERE k=1.5; UPDATE t SET v=2 WHERE k=9007199254740993;"
            "INSERT INTO t VALUES(-9223372036854775808,1),(1e300,1)",
            "+2 -1 ~1 by k"},
        Keys{"RealAndIntegerAreOneKeyAndNotTheSameValue",
             "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES(1,1),(2,1)",
             "UPDATE t SET k=1.0 WHERE k=1", "+0 -0 ~1 by k"},
        Keys{"Nocase",
             "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, v);"
             "INSERT INTO t VALUES('a',1),('B',1),('c',1),('[',1)",
             "UPDATE t SET k='b' WHERE k='B'; DELETE FROM t WHERE k='C'; INSERT INTO t VALUES('Aa',1)",
             "+1 -1 ~1 by k"},
        Keys{"NocaseInTheKeyAlone",
             "CREATE TABLE t(k TEXT, v, PRIMARY KEY(k COLLATE NOCASE));"
             "INSERT INTO t VALUES('a',1),('B',1),('_',1),('c',1)",
             "DELETE FROM t WHERE k='B'", "+0 -1 ~0 by k"},
        Keys{"Rtrim",
             "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE RTRIM, v) WITHOUT ROWID;"
             "INSERT INTO t VALUES('a  ',1),('b',1),('a!',1)",
             "UPDATE t SET k='a' WHERE k='a'; INSERT INTO t VALUES('c ',2)", "+1 -0 ~1 by k"},
        Keys{"NullsInTheKeyAreToldApartByRowid",
             "CREATE TABLE t(k TEXT, n, v, PRIMARY KEY(k, n));"
             "INSERT INTO t VALUES(NULL,1,1),(NULL,1,2),(NULL,1,3),('x',NULL,1),('x',NULL,2),('y',1,1)",
             "DELETE FROM t WHERE k IS NULL AND v=1; UPDATE t SET v=9 WHERE k='x' AND v=2;"
             "INSERT INTO t VALUES(NULL,NULL,5)",
             "+1 -1 ~1 by (k, n)"},
        Keys{"NoPrimaryKey", "CREATE TABLE t(v); INSERT INTO t VALUES(1),(1),(2)",
             "DELETE FROM t WHERE rowid=1; UPDATE t SET v=3 WHERE rowid=3; INSERT INTO t VALUES(4)",
             "+1 -1 ~1 by rowid"},
        Keys{"AColumnCalledRowid", "CREATE TABLE t(rowid TEXT, oid); INSERT INTO t VALUES('x',1),('y',2)",
             "DELETE FROM t WHERE _rowid_=1", "+0 -1 ~0 by rowid"},
        Keys{"AllNamesOfTheRowidAreTaken",
             "CREATE TABLE t(RowId, oid, _rowid_); INSERT INTO t VALUES(1,1,1),(2,2,2)",
             "DELETE FROM t WHERE oid=1; INSERT INTO t VALUES(5,5,5)", "?", "only counted"},
        Keys{"AllNamesAreTakenAndThereIsAKey",
             "CREATE TABLE t(rowid TEXT PRIMARY KEY, oid, _rowid_); INSERT INTO t VALUES('a',1,1),('b',2,2)",
             "DELETE FROM t WHERE rowid='a'; INSERT INTO t VALUES('c',5,5)", "+1 -1 ~0 by rowid"},
        Keys{"AnotherKeyInB", "CREATE TABLE t(a INT, b INT, PRIMARY KEY(a)); INSERT INTO t VALUES(1,1),(2,2)",
             "DROP TABLE t; CREATE TABLE t(a INT, b INT, PRIMARY KEY(a, b)); INSERT INTO t VALUES(1,1),(2,3)",
             "+0 -0 ~1 by rowid", "primary key is not the same"},
        Keys{"AnotherKeyInBWithoutRowid",
             "CREATE TABLE t(a INT, b INT, PRIMARY KEY(a)) WITHOUT ROWID; INSERT INTO t VALUES(1,1),(2,2)",
             "DROP TABLE t; CREATE TABLE t(a INT, b INT, PRIMARY KEY(b)) WITHOUT ROWID", "?",
             "only counted: its primary key is not the same"},
        Keys{"WithoutRowidInBAlone",
             "CREATE TABLE t(a TEXT PRIMARY KEY, b); INSERT INTO t VALUES('x',1),('y',2)",
             "DROP TABLE t; CREATE TABLE t(a TEXT PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO t VALUES('y',3)",
             "+0 -1 ~1 by a"},
        Keys{"OddNames",
             "CREATE TABLE \"a \"\"b\"(\"x\"\"y\" TEXT PRIMARY KEY, \"select\", [;--]);"
             "INSERT INTO \"a \"\"b\" VALUES('a',1,1),('b',2,2)",
             "UPDATE \"a \"\"b\" SET [;--]=3 WHERE \"select\"=1", "+0 -0 ~1 by x\"y"},
        Keys{"GeneratedColumnsFollowFromOthers",
             "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b AS (a*2), c AS (a*3) STORED); INSERT INTO t "
             "VALUES(1,1),(2,2)",
             "UPDATE t SET a=5 WHERE id=1", "+0 -0 ~1 by id"},
        Keys{"TextWithNul",
             "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, v);"
             "INSERT INTO t VALUES(CAST(x'610062' AS TEXT),CAST(x'610061' AS TEXT)),('b',1)",
             "UPDATE t SET v=CAST(x'610062' AS TEXT) WHERE v<>1", "+0 -0 ~1 by k"},
        Keys{"EmptyTextEmptyBlobAndNullAreThreeValues",
             "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,''),(2,''),(3,x'')",
             "UPDATE t SET v=NULL WHERE id=1; UPDATE t SET v=x'' WHERE id=2", "+0 -0 ~2 by id"},
        Keys{"Views", "CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT of_the_app(id) FROM t",
             "", ""}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(Diff, OfColumnsComparesThoseInBoth) {
  const FileDiff diff = change(kUsers,
                               "ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT 'none';"
                               "ALTER TABLE users DROP COLUMN age; UPDATE users SET name='x' WHERE id=3");
  EXPECT_EQ(said(diff), "+0 -0 ~1 by id");
  ASSERT_EQ(objects_of(diff), Strings{"changed table users"});
  const auto& columns = diff.objects.front().columns;
  ASSERT_EQ(columns.size(), 2U);
  EXPECT_EQ(columns[0].name, "age");
  EXPECT_EQ(columns[0].change, Change::kRemoved);
  EXPECT_EQ(columns[1].name, "email");
  EXPECT_EQ(columns[1].b, "TEXT NOT NULL DEFAULT 'none'");
}

TEST_F(Diff, OfAColumnsTypeIsAChangeOfIt) {
  const FileDiff diff = this->diff("", "CREATE TABLE t(a INT PRIMARY KEY, b TEXT)",
                                   "CREATE TABLE t(a INT PRIMARY KEY, b BLOB NOT NULL)");
  ASSERT_EQ(objects_of(diff), Strings{"changed table t"});
  ASSERT_EQ(diff.objects.front().columns.size(), 1U);
  EXPECT_EQ(diff.objects.front().columns.front().a, "TEXT");
  EXPECT_EQ(diff.objects.front().columns.front().b, "BLOB NOT NULL");
  EXPECT_TRUE(diff.tables.empty());
}

TEST_F(Diff, NamesSchemaObjectsThatComeGoAndChange) {
  const FileDiff diff = this->diff(
      "CREATE TABLE t(a)",
      "CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT 1; CREATE TABLE old(x); INSERT INTO old VALUES(1),(2)",
      "CREATE INDEX i ON t(a DESC); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END; CREATE TABLE "
      "new(x)");
  EXPECT_EQ(objects_of(diff), (Strings{"removed table old", "changed index i", "removed view v",
                                       "added table new", "added trigger g"}));
  EXPECT_EQ(diff.objects[1].sql_a, "CREATE INDEX i ON t(a)");
  EXPECT_EQ(diff.objects[1].sql_b, "CREATE INDEX i ON t(a DESC)");
  EXPECT_EQ(diff.objects[4].table, "t");
  EXPECT_EQ(said(diff), "+0 -2 ~0");
}

TEST_F(Diff, NamesSettings) {
  const FileDiff diff = this->diff("", "PRAGMA page_size=1024; CREATE TABLE t(a); PRAGMA user_version=3",
                                   "PRAGMA encoding='UTF-16le'; CREATE TABLE t(a); PRAGMA application_id=-7");
  EXPECT_EQ(settings_of(diff), (Strings{"page_size 1024 4096", "encoding UTF-8 UTF-16le", "user_version 3 0",
                                        "application_id 0 -7"}));
}

TEST_F(Diff, LeavesOutWhatIsSqlitesOwn) {
  const FileDiff diff =
      change("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v); CREATE INDEX i ON t(v)",
             "INSERT INTO t(v) VALUES(1),(2); ANALYZE; DELETE FROM t");
  EXPECT_FALSE(diff.differs());
}

TEST_F(Diff, NamesVirtualTablesAndMarksWhatHoldsTheirContent) {
  const FileDiff diff =
      change("CREATE VIRTUAL TABLE posts_fts USING fts5(body); CREATE TABLE posts(id INTEGER)",
             "INSERT INTO posts_fts VALUES('hello world')");
  EXPECT_EQ(diff.virtual_tables, Strings{"posts_fts"});
  ASSERT_FALSE(diff.tables.empty());
  for (const auto& table : diff.tables) {
    EXPECT_EQ(table.part_of, "posts_fts") << table.name;
    EXPECT_FALSE(table.failed) << table.note;
  }
}

TEST_F(Diff, OfAVirtualTableWhoseModuleIsNotHereIsPossible) {
  change("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)");
  auto database = open(b());
  database.exec(
      "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','vec','vec',0,"
      "'CREATE VIRTUAL TABLE vec USING vec0(x)')");
  const FileDiff diff = compare();
  EXPECT_EQ(said(diff), "+1 -0 ~0 by rowid");
  EXPECT_EQ(diff.virtual_tables, Strings{"vec"});
}

class DiffCollation : public Diff {
 protected:
  void make(const std::string& path, const std::string& sql) {
    auto database = open(path);
    sqlite3_create_collation(database.getHandle(), "BACKWARDS", SQLITE_UTF8, nullptr, compare_backwards);
    database.exec(sql);
  }
};

TEST_F(DiffCollation, OfTheAppsOwnLeadsToTheRowid) {
  const std::string first =
      "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE BACKWARDS, v); INSERT INTO t VALUES('a',1),('b',2),('c',3)";
  make(a(), first);
  make(b(), first + ";UPDATE t SET v=5 WHERE k='a'; DELETE FROM t WHERE k='b'");
  EXPECT_EQ(said(compare()), "+0 -1 ~1 by rowid");
  EXPECT_NE(note_of(compare()).find("BACKWARDS"), std::string::npos);
}

TEST_F(DiffCollation, OfTheAppsOwnWithoutRowidLeadsToCounts) {
  const std::string first =
      "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE BACKWARDS, v) WITHOUT ROWID; INSERT INTO t VALUES('a',1)";
  make(a(), first);
  make(b(), first + ";UPDATE t SET v=5");
  const FileDiff diff = compare();
  EXPECT_EQ(said(diff), "?");
  EXPECT_TRUE(diff.differs());
  EXPECT_FALSE(diff.failed());
  EXPECT_EQ(diff.tables.front().rows_a, 1U);
}

void return_argument(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_value(context, values[0]);
}

TEST_F(Diff, OfATableWithAFunctionOfTheAppsOwnIsPossible) {
  for (const std::string& path : {a(), b()}) {
    auto database = open(path);
    sqlite3_create_function(database.getHandle(), "slug", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                            return_argument, nullptr, nullptr);
    database.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, s AS (slug(a)), CHECK (slug(a) <> ''));"
        "CREATE INDEX i ON t(slug(a)); INSERT INTO t(a) VALUES('x'),('y')");
    if (path == b()) database.exec("UPDATE t SET a='z' WHERE id=2");
  }
  EXPECT_EQ(said(compare()), "+0 -0 ~1 by id");
}

class DiffEncoding : public Diff, public testing::WithParamInterface<const char*> {};

TEST_P(DiffEncoding, OfUtf16TextIsByWhatIsStored) {
  const std::string first =
      "PRAGMA encoding='" + std::string(GetParam()) +
      "'; CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT);"
      "INSERT INTO t VALUES('a','ä'),('ā','1'),('b','2'),('ÿ','3'),('aa','4'),('𝄞','5')";
  const FileDiff diff = change(
      first, "DELETE FROM t WHERE k='b'; UPDATE t SET v='𝄞' WHERE k='a'; INSERT INTO t VALUES('ab','6')", 9);
  const bool big_endian = std::string(GetParam()) == "UTF-16be";
  EXPECT_EQ(said(diff), big_endian ? "+1 -1 ~1 by rowid" : "+1 -1 ~1 by k");
  EXPECT_EQ(note_of(diff).empty(), !big_endian);
}

// The two halves of a surrogate pair differ, but become the same once they are converted to UTF-8.
TEST_P(DiffEncoding, OfBrokenUtf16TextIsSeen) {
  const std::string first =
      "PRAGMA encoding='" + std::string(GetParam()) + "'; CREATE TABLE t(id INTEGER PRIMARY KEY, v);";
  const bool little = std::string(GetParam()) == "UTF-16le";
  open(a()).exec(first + (little ? "INSERT INTO t VALUES(1,CAST(x'00D8' AS TEXT))"
                                 : "INSERT INTO t VALUES(1,CAST(x'D800' AS TEXT))"));
  open(b()).exec(first + (little ? "INSERT INTO t VALUES(1,CAST(x'01D8' AS TEXT))"
                                 : "INSERT INTO t VALUES(1,CAST(x'D801' AS TEXT))"));
  EXPECT_EQ(said(compare()), "+0 -0 ~1 by id");
}

INSTANTIATE_TEST_SUITE_P(Both, DiffEncoding, testing::Values("UTF-16le", "UTF-16be"),
                         [](const auto& test) { return std::string(test.param).substr(6); });

TEST_F(Diff, BetweenEncodingsIsByRowidUnlessTheKeyIsOne) {
  const std::string rows =
      "CREATE TABLE k(k TEXT PRIMARY KEY, v); CREATE TABLE n(id INTEGER PRIMARY KEY, v TEXT);"
      "INSERT INTO k VALUES('a','ä'),('ÿ','b'); INSERT INTO n VALUES(1,'ä'),(2,'b'),(3,'𝄞')";
  const FileDiff diff = this->diff("", rows,
                                   "PRAGMA encoding='UTF-16le';" + rows +
                                       ";UPDATE k SET v='c' WHERE k='a'; UPDATE n SET v='c' WHERE id=2");
  ASSERT_EQ(diff.tables.size(), 2U);
  EXPECT_EQ(counts_of(diff.tables[0]) + diff.tables[0].key, "+0 -0 ~1rowid");
  EXPECT_EQ(counts_of(diff.tables[1]) + diff.tables[1].key, "+0 -0 ~1id");
}

}  // namespace
}  // namespace litepull
