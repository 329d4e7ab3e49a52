#include "client/diff/rows.h"

#include <sqlite3.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "client/diff/cursor.h"
#include "client/sandbox/hostile_database.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxCells = 4;  // most that are shown of a changed row

std::optional<Collation> collation_of(const std::string& name) {
  if (sqlite3_stricmp(name.c_str(), "BINARY") == 0) return Collation::kBinary;
  if (sqlite3_stricmp(name.c_str(), "NOCASE") == 0) return Collation::kNocase;
  if (sqlite3_stricmp(name.c_str(), "RTRIM") == 0) return Collation::kRtrim;
  return std::nullopt;
}

bool same_key(const TableShape& a, const TableShape& b) {
  return std::equal(
      a.key.begin(), a.key.end(), b.key.begin(), b.key.end(), [](const KeyColumn& x, const KeyColumn& y) {
        return sqlite3_stricmp(x.name.c_str(), y.name.c_str()) == 0 &&
               sqlite3_stricmp(x.collation.c_str(), y.collation.c_str()) == 0 && x.descending == y.descending;
      });
}

bool is_rowid(const TableShape& shape) {
  return !shape.key.empty() && shape.key_index.empty();
}

// The columns to compare: those that both tables store.
std::vector<std::string> common_columns(const TableShape& a, const TableShape& b) {
  std::vector<std::string> names;
  for (const auto& column : a.columns) {
    const auto* other = find_column(b, column.name);
    if (other != nullptr && !column.generated && !other->generated) names.push_back(column.name);
  }
  return names;
}

std::string key_text(const std::vector<KeyColumn>& key) {
  std::string text;
  for (const KeyColumn& column : key) text += (text.empty() ? "" : ", ") + column.name;
  return shortened(key.size() == 1 ? text : "(" + text + ")", kMaxShownNameBytes);
}

// One table in both databases, and what tells its rows apart.
class TablePair {
 public:
  TablePair(DiffFile& a, DiffFile& b, std::string name)
      : a_(a),
        b_(b),
        name_(std::move(name)),
        shape_a_(shape_of(a.database, name_)),
        shape_b_(shape_of(b.database, name_)),
        columns_(common_columns(shape_a_, shape_b_)) {}

  FileDiff::Table compare(RowReport& report);

 private:
  bool by_primary_key() const { return why_not_.empty() && !shape_a_.key.empty(); }
  std::string why_not_by_key() const;
  std::string select(const TableShape& shape, bool by_key) const;
  bool walks_in_order(DiffFile& file, const TableShape& shape) const;
  std::vector<KeyOrder> order() const;
  TextForm form() const;
  FileDiff::Counts walk(FileDiff::Table& table, RowReport& report) const;
  std::size_t changed_cells(const Cursor& a, const Cursor& b) const;
  FileDiff::Row changed_row(Cursor& a, Cursor& b) const;

  DiffFile& a_;
  DiffFile& b_;
  const std::string name_;
  const TableShape shape_a_, shape_b_;
  const std::vector<std::string> columns_;
  std::string why_not_;  // why the primary key cannot tell rows apart; empty: it can
};

// A key that is the rowid has only integers, which every encoding orders alike.
std::string TablePair::why_not_by_key() const {
  if (!same_key(shape_a_, shape_b_)) return "its primary key is not the same in A and B";
  if (is_rowid(shape_a_) && is_rowid(shape_b_)) return "";
  for (const KeyColumn& column : shape_a_.key)
    if (!collation_of(column.collation))
      return "its primary key has a collation of the app's own, " +
             shortened(column.collation, kMaxShownNameBytes);
  if (shape_a_.key.empty()) return "";
  if (a_.encoding != b_.encoding) return "the text in A is " + a_.encoding + " and in B " + b_.encoding;
  if (a_.encoding == "UTF-16be") return "its text is UTF-16be";
  if (!walks_in_order(a_, shape_a_) || !walks_in_order(b_, shape_b_))
    return "its primary key cannot be read in order";
  return "";
}

// Names the index to use, so that hostile statistics cannot lead SQLite to a sort, which would take memory
// for the whole table.
std::string TablePair::select(const TableShape& shape, bool by_key) const {
  std::string columns, order;
  const auto add = [](std::string& list, const std::string& item) {
    list += (list.empty() ? "" : ", ") + item;
  };
  if (by_key) {
    for (const KeyColumn& column : shape.key) {
      add(columns, quoted(column.name));
      add(order,
          quoted(column.name) + " COLLATE " + quoted(column.collation) + (column.descending ? " DESC" : ""));
    }
  } else {
    add(columns, quoted(shape.rowid));
    add(order, quoted(shape.rowid));
  }
  const bool tie = by_key && !shape.key_index.empty() && !shape.rowid.empty();
  add(columns, tie ? quoted(shape.rowid) : "0");
  if (tie) add(order, quoted(shape.rowid));
  for (const std::string& column : columns_) add(columns, quoted(column));
  const bool indexed = by_key && !shape.key_index.empty() && shape.has_rowid;
  return "SELECT " + columns + " FROM " + quoted(name_) +
         (indexed ? " INDEXED BY " + quoted(shape.key_index) : " NOT INDEXED") + " ORDER BY " + order;
}

bool TablePair::walks_in_order(DiffFile& file, const TableShape& shape) const {
  SQLite::Statement plan(file.database, "EXPLAIN QUERY PLAN " + select(shape, true));
  while (plan.executeStep())
    if (plan.getColumn("detail").getString().find("TEMP B-TREE") != std::string::npos) return false;
  return true;
}

std::vector<KeyOrder> TablePair::order() const {
  if (!by_primary_key()) return {KeyOrder{}};
  std::vector<KeyOrder> order;
  for (const KeyColumn& column : shape_a_.key)
    order.push_back({collation_of(column.collation).value_or(Collation::kBinary), column.descending});
  return order;
}

TextForm TablePair::form() const {
  return a_.encoding != "UTF-8" && b_.encoding != "UTF-8" ? TextForm::kUtf16 : TextForm::kUtf8;
}

std::size_t TablePair::changed_cells(const Cursor& a, const Cursor& b) const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    count += same_value(a.value(static_cast<int>(i)), b.value(static_cast<int>(i))) ? 0 : 1;
  return count;
}

FileDiff::Row TablePair::changed_row(Cursor& a, Cursor& b) const {
  FileDiff::Row row;
  row.key = a.shown_key();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const int column = static_cast<int>(i);
    if (same_value(a.value(column), b.value(column))) continue;
    if (row.cells.size() == kMaxCells) {
      ++row.more;
    } else {
      row.cells.push_back(
          {shortened(columns_[i], kMaxShownNameBytes), a.shown_value(column), b.shown_value(column)});
    }
  }
  return row;
}

std::size_t size_of(const FileDiff::Row& row) {
  std::size_t size = row.key.size() + 64;
  for (const auto& cell : row.cells) size += cell.column.size() + cell.a.size() + cell.b.size() + 32;
  return size;
}

void add_row(FileDiff::Row row, FileDiff::Table& table, RowReport& report) {
  if (report.budget.take(size_of(row))) {
    table.rows.push_back(std::move(row));
  } else {
    report.shortened = true;
  }
}

FileDiff::Counts TablePair::walk(FileDiff::Table& table, RowReport& report) const {
  Cursor a(a_.database, select(shape_a_, by_primary_key()), order(), form());
  Cursor b(b_.database, select(shape_b_, by_primary_key()), order(), form());
  FileDiff::Counts counts;
  const auto wanted = [&] { return table.rows.size() < report.per_table; };
  while (a.has_row() || b.has_row()) {
    const int order = !b.has_row() ? -1 : !a.has_row() ? 1 : Cursor::compare_keys(a, b);
    if (order < 0) {
      ++counts.removed;
      if (wanted()) add_row({Change::kRemoved, a.shown_key(), {}, 0}, table, report);
    } else if (order > 0) {
      ++counts.added;
      if (wanted()) add_row({Change::kAdded, b.shown_key(), {}, 0}, table, report);
    } else if (changed_cells(a, b) > 0) {
      ++counts.changed;
      if (wanted()) add_row(changed_row(a, b), table, report);
    }
    if (order <= 0) a.next();
    if (order >= 0) b.next();
  }
  table.rows_a = a.rows();
  table.rows_b = b.rows();
  return counts;
}

FileDiff::Table TablePair::compare(RowReport& report) {
  FileDiff::Table table;
  table.name = name_;
  why_not_ = why_not_by_key();
  if (!by_primary_key() && (shape_a_.rowid.empty() || shape_b_.rowid.empty())) {
    table.rows_a = count_rows(a_.database, name_);
    table.rows_b = count_rows(b_.database, name_);
    table.note = "only counted: " + (why_not_.empty() ? "its rows have no key that has a name" : why_not_);
    return table;
  }
  table.key = by_primary_key() ? key_text(shape_a_.key) : "rowid";
  if (!why_not_.empty()) table.note = "by rowid: " + why_not_;
  table.counts = walk(table, report);
  return table;
}

}  // namespace

FileDiff::Table diff_rows(DiffFile& a, DiffFile& b, const std::string& table, RowReport& report) {
  return TablePair(a, b, table).compare(report);
}

std::uint64_t count_rows(SQLite::Database& database, const std::string& table) {
  return static_cast<std::uint64_t>(database.execAndGet("SELECT count(*) FROM " + quoted(table)).getInt64());
}

}  // namespace litepull
