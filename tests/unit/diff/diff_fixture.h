// Two databases that a test makes, and what diff_files says about them.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "client/diff/files.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {

class Diff : public testing::Test {
 protected:
  std::string a() const { return dir_ / "a.sqlite3"; }
  std::string b() const { return dir_ / "b.sqlite3"; }

  static SQLite::Database open(const std::string& path) {
    return {path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
  }
  // Runs `common` in both databases, and then one script in each.
  FileDiff diff(const std::string& common, const std::string& in_a, const std::string& in_b,
                std::size_t rows = 0) {
    open(a()).exec(common + ";" + in_a);
    open(b()).exec(common + ";" + in_b);
    return compare(rows);
  }
  // B is a copy of A that a script has changed.
  FileDiff change(const std::string& first, const std::string& then, std::size_t rows = 0) {
    return diff(first, "", then, rows);
  }
  FileDiff compare(std::size_t rows = 0) const { return diff_files(a(), b(), rows); }

  TempDir dir_;
};

inline std::string counts_of(const FileDiff::Table& table) {
  if (!table.counts) return "?";
  return "+" + std::to_string(table.counts->added) + " -" + std::to_string(table.counts->removed) + " ~" +
         std::to_string(table.counts->changed);
}

// "+1 -0 ~2 by id" for the only table that differs; "" if none does.
inline std::string said(const FileDiff& diff) {
  if (!diff.error.empty()) return diff.error;
  if (diff.tables.empty()) return "";
  EXPECT_EQ(diff.tables.size(), 1U);
  const FileDiff::Table& table = diff.tables.front();
  return counts_of(table) + (table.key.empty() ? "" : " by " + table.key);
}

// A collation that this process knows and diff_files does not.
inline int compare_backwards(void*, int a_size, const void* a, int b_size, const void* b) {
  const std::string_view x(static_cast<const char*>(a), static_cast<std::size_t>(a_size));
  const std::string_view y(static_cast<const char*>(b), static_cast<std::size_t>(b_size));
  return -x.compare(y);
}

inline constexpr const char* kUsers =
    "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, age);"
    "INSERT INTO users VALUES(1,'ann',30),(2,'bob',40),(3,'cem',50)";

}  // namespace litepull::test
