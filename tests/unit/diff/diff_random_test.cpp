// Makes random histories of a database, and compares what diff_files says about their beginning and end with
// both ends, read by plain SQL into maps.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "client/diff/files.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

// A table, and an SQL expression that has the same value for the same key.
struct RandomTable {
  const char* name;
  const char* sql;
  std::string identity;
  std::vector<const char*> columns;
};

// The text of a number, which is the same for 1 and 1.0.
std::string key_text(const std::string& column) {
  return fmt::format(
      "CASE WHEN typeof({0}) IN ('integer','real') THEN 'n' || CAST({0} AS REAL) ELSE quote({0}) END",
      column);
}

const std::vector<RandomTable>& tables() {
  static const std::vector<RandomTable> kTables{
      {"by_rowid", "(id INTEGER PRIMARY KEY, a, b)", "id", {"a", "b"}},
      {"without_key", "(a, b)", "rowid", {"a", "b"}},
      {"composite",
       "(k, n, a, b AS (k || n), PRIMARY KEY(n DESC, k))",
       key_text("k") + " || '/' || " + key_text("n") +
           " || CASE WHEN k IS NULL OR n IS NULL THEN rowid ELSE '' END",
       {"k", "n", "a"}},
      {"without_rowid",
       "(k TEXT, n REAL, a, b, PRIMARY KEY(k, n)) WITHOUT ROWID",
       "quote(k) || '/' || quote(n)",
       {"k", "n", "a", "b"}},
      {"nocase",
       "(k TEXT PRIMARY KEY COLLATE NOCASE, a)",
       "lower(quote(k)) || CASE WHEN k IS NULL THEN rowid ELSE '' END",
       {"k", "a"}},
      {"rtrim",
       "(k TEXT NOT NULL, a, PRIMARY KEY(k COLLATE RTRIM))",
       "CASE typeof(k) WHEN 'blob' THEN quote(k) ELSE quote(rtrim(k, ' ')) END",
       {"k", "a"}}};
  return kTables;
}

class History {
 public:
  History(const std::string& path, std::mt19937_64& random)
      : random_(random), database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
    database_.exec("PRAGMA synchronous=OFF");
    if (number(0, 3) == 0) database_.exec("PRAGMA encoding='UTF-16le'");
    for (const RandomTable& table : tables())
      database_.exec(fmt::format("CREATE TABLE {}{}", table.name, table.sql));
  }

  void go_on(int steps) {
    database_.exec("BEGIN");
    for (int i = 0; i < steps; ++i) step(tables()[static_cast<std::size_t>(number(0, 5))]);
    database_.exec("COMMIT");
  }

  void vacuum() {
    database_.exec("PRAGMA page_size=1024");
    database_.exec("VACUUM");
  }

 private:
  int number(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }

  std::string value() {
    switch (number(0, 7)) {
      case 0:
        return "NULL";
      case 1:
        return std::to_string(number(-20, 20));
      case 2:
        return std::to_string(number(-20, 20)) + ".0";
      case 3:
        return std::to_string(number(-200, 200)) + "e-1";
      case 4:
        return fmt::format("x'{:02x}'", number(0, 40));
      case 5:
        return fmt::format("'{}  '", static_cast<char>(number('A', 'H')));
      case 6:
        return fmt::format("'ä{}'", number(0, 20));
      default:
        return fmt::format("'{}{}'", static_cast<char>(number('a', 'h')),
                           static_cast<char>(number('A', 'h')));
    }
  }

  // Ignores statements that break a constraint.
  void step(const RandomTable& table) {
    std::string names, values;
    for (const char* column : table.columns) {
      names += (names.empty() ? "" : ", ") + std::string(column);
      values += (values.empty() ? "" : ", ") + value();
    }
    const std::string somewhere =
        fmt::format("{} IN (SELECT {} FROM {} ORDER BY abs(random() % {}) LIMIT {})", table.identity,
                    table.identity, table.name, number(2, 1000), number(1, 2));
    switch (number(0, 5)) {
      case 0:
        database_.exec(fmt::format("DELETE FROM {} WHERE {}", table.name, somewhere));
        return;
      case 1: {
        const char* column =
            table.columns[static_cast<std::size_t>(number(0, static_cast<int>(table.columns.size()) - 1))];
        database_.exec(
            fmt::format("UPDATE OR IGNORE {} SET {}={} WHERE {}", table.name, column, value(), somewhere));
        return;
      }
      default:
        database_.exec(fmt::format("INSERT OR IGNORE INTO {}({}) VALUES({})", table.name, names, values));
    }
  }

  std::mt19937_64& random_;
  SQLite::Database database_;
};

using Rows = std::map<std::string, std::string>;

Rows rows_of(const std::string& path, const RandomTable& table) {
  SQLite::Database database(path, SQLite::OPEN_READONLY);
  std::string row;
  for (const char* column : table.columns)
    row += (row.empty() ? "" : " || ',' || ") + fmt::format("typeof({0}) || quote({0})", column);
  SQLite::Statement all(database, fmt::format("SELECT {}, {} FROM {}", table.identity, row, table.name));
  Rows rows;
  while (all.executeStep()) rows[all.getColumn(0).getString()] = all.getColumn(1).getString();
  return rows;
}

std::string expected(const Rows& a, const Rows& b) {
  int added = 0, removed = 0, changed = 0;
  for (const auto& [key, row] : a) {
    const auto other = b.find(key);
    removed += other == b.end() ? 1 : 0;
    changed += other != b.end() && other->second != row ? 1 : 0;
  }
  for (const auto& [key, row] : b) added += a.contains(key) ? 0 : 1;
  return fmt::format("+{} -{} ~{} of {}", added, removed, changed, a.size());
}

std::string said(const FileDiff& diff, const RandomTable& table, std::size_t rows) {
  for (const auto& entry : diff.tables)
    if (entry.name == table.name && entry.counts && entry.note.empty())
      return fmt::format("+{} -{} ~{} of {}", entry.counts->added, entry.counts->removed,
                         entry.counts->changed, entry.rows_a);
  return fmt::format("+0 -0 ~0 of {}", rows);
}

TEST(DiffOfARandomHistory, IsWhatPlainSqlSaysOfBothEnds) {
  const char* wanted = std::getenv("LITEPULL_SEED");
  const bool long_form = std::getenv("LITEPULL_LONG") != nullptr;
  const std::uint64_t first = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  for (std::uint64_t seed = first; seed < first + (long_form ? 5000 : 200); ++seed) {
    SCOPED_TRACE("LITEPULL_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    const TempDir dir;
    const std::string a = dir / "a.sqlite3", b = dir / "b.sqlite3";
    {
      History history(b, random);
      history.go_on(100);
      fs::copy_file(b, a);
      history.go_on(static_cast<int>(random() % 60));
    }
    const FileDiff diff = diff_files(a, b, seed % 3);
    ASSERT_EQ(diff.error, "");
    for (const RandomTable& table : tables()) {
      const Rows in_a = rows_of(a, table), in_b = rows_of(b, table);
      EXPECT_EQ(said(diff, table, in_a.size()), expected(in_a, in_b)) << table.name;
    }
    if (testing::Test::HasFailure()) return;
  }
}

// VACUUM keeps the key of a row. Only rowids that no column declares may change.
TEST(DiffOfARandomHistory, IsNothingAfterAVacuum) {
  std::mt19937_64 random(7);
  const TempDir dir;
  const std::string a = dir / "a.sqlite3", b = dir / "b.sqlite3";
  History history(b, random);
  history.go_on(300);
  fs::copy_file(b, a);
  history.vacuum();
  const FileDiff diff = diff_files(a, b, 0);
  ASSERT_EQ(diff.error, "");
  for (const auto& table : diff.tables)
    if (table.name != "without_key" && table.name != "composite" && table.name != "nocase")
      ADD_FAILURE() << table.name << " differs";
  EXPECT_EQ(diff.settings.size(), 1U);
}

}  // namespace
}  // namespace litepull
