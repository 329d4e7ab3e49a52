// Compares the rows of one table in two databases. Two statements walk the key in order and in step, so the
// memory does not depend on the size of the table. Reads hostile files, so it runs in a child with limits.
// Throws SQLite::Exception.
#pragma once

#include <cstddef>
#include <string>

#include "client/diff/file_diff.h"
#include "client/diff/schema.h"

namespace litepull {

// How much may still be reported about single rows.
struct RowReport {
  std::size_t per_table = 0;
  TextBudget& budget;
  bool shortened = false;  // set if rows were left out to limit the size
};

// Compares a table that both databases have.
//
// The PRIMARY KEY tells rows apart, with its collations and SQLite's order of values: 1 and 1.0 are one key,
// and so are 'a' and 'A' in a NOCASE column. Several rows may have a NULL in their key; their rowid tells
// them apart. The rowid is also used if the keys of the two tables differ, or if the order of the key is
// unknown here. If there is no name for the rowid either, rows are only counted. The note of the result says
// so.
//
// Compares the columns that both tables have, except generated ones, by type and content, whatever their
// collation.
FileDiff::Table diff_rows(DiffFile& a, DiffFile& b, const std::string& table, RowReport& report);

std::uint64_t count_rows(SQLite::Database& database, const std::string& table);

}  // namespace litepull
