// The rows of one table in two databases, told apart by their key: two statements that walk it in order, in
// step, so that what is needed of memory does not depend on the table's size. Reads hostile files: for a
// process of its own with limits. Throws SQLite::Exception.
#pragma once

#include <cstddef>
#include <string>

#include "client/diff/file_diff.h"
#include "client/diff/schema.h"

namespace litepull {

// What may still be reported of single rows.
struct RowReport {
  std::size_t per_table = 0;
  TextBudget& budget;
  bool shortened = false;  // set when rows were left out for their size
};

// A table that is in both.
//
// Its rows are told apart by the PRIMARY KEY, by its collations and SQLite's order of values: 1 and 1.0 are
// one key, and so are 'a' and 'A' in a NOCASE column. Rows with a NULL in it, of which there may be several,
// are told apart by their rowid as well. Where the key is not the same in both, or its order is not known
// here, rows are told apart by rowid; where that cannot be done either they are counted. The note says so.
//
// Compared are the columns that are in both, but for generated ones: by type and content, whatever their
// collation.
FileDiff::Table diff_rows(DiffFile& a, DiffFile& b, const std::string& table, RowReport& report);

std::uint64_t count_rows(SQLite::Database& database, const std::string& table);

}  // namespace litepull
