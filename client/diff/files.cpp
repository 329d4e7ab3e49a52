#include "client/diff/files.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "client/diff/rows.h"
#include "client/diff/schema.h"
#include "client/sandbox/child.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kTextBudget = 8 << 20;
constexpr std::size_t kMaxErrorBytes = 1000;

// The virtual table that keeps its content in this one: "posts_fts" for "posts_fts_data"
// (https://sqlite.org/vtab.html#shadow_tables). Goes by the name alone, since the module may be missing here.
std::string part_of(const std::string& table, const std::set<std::string>& virtual_tables) {
  for (auto at = table.rfind('_'); at != std::string::npos && at > 0; at = table.rfind('_', at - 1))
    if (const auto found = virtual_tables.find(table.substr(0, at)); found != virtual_tables.end())
      return *found;
  return "";
}

class FilePair {
 public:
  FilePair(DiffFile& a, DiffFile& b, std::size_t rows_per_table)
      : a_(a),
        b_(b),
        schema_a_(read_schema(a.database)),
        schema_b_(read_schema(b.database)),
        rows_per_table_(rows_per_table) {}

  void compare(FileDiff& diff) {
    diff_settings(a_, b_, diff);
    diff_schemas(a_, schema_a_, b_, schema_b_, budget_, diff);
    for (const Schema* schema : {&schema_a_, &schema_b_})
      for (const std::string& name : virtual_tables(*schema)) virtual_.insert(name);
    for (const std::string& name : virtual_)
      if (diff.virtual_tables.size() < kMaxListed)
        diff.virtual_tables.push_back(short_name(name, kMaxShownNameBytes));
    compare_tables(diff);
  }

 private:
  static bool has_rows(const Schema& schema, const std::string& table) {
    const auto found = schema.find({0, table});
    return found != schema.end() && found->second.has_rows;
  }

  void compare_tables(FileDiff& diff) {
    std::set<std::string> names;
    for (const Schema* schema : {&schema_a_, &schema_b_})
      for (const auto& [id, object] : *schema)
        if (object.has_rows) names.insert(id.second);
    for (const std::string& name : names) add(compare_table(name, diff), diff);
  }

  // Of a table that only one file has, all rows count as added or removed.
  FileDiff::Table of_one(const std::string& name, bool in_a) {
    FileDiff::Table table;
    const std::uint64_t rows = count_rows((in_a ? a_ : b_).database, name);
    (in_a ? table.rows_a : table.rows_b) = rows;
    table.counts = FileDiff::Counts{};
    (in_a ? table.counts->removed : table.counts->added) = rows;
    return table;
  }

  // A table may be out of reach here: its definition has a function of the app, or a row exceeds the limits.
  // The other tables are still compared then. A damaged file ends the comparison.
  FileDiff::Table compare_table(const std::string& name, FileDiff& diff) {
    FileDiff::Table table;
    const bool in_a = has_rows(schema_a_, name), in_b = has_rows(schema_b_, name);
    try {
      RowReport report{rows_per_table_, budget_};
      table = in_a && in_b ? diff_rows(a_, b_, name, report) : of_one(name, in_a);
      diff.shortened = diff.shortened || report.shortened;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_ERROR && error.getErrorCode() != SQLITE_TOOBIG) throw;
      table.failed = true;
      table.note = std::string("could not be compared: ") + short_text(error.what(), kMaxErrorBytes);
    }
    table.name = short_name(name, kMaxShownNameBytes);
    table.part_of = short_name(part_of(name, virtual_), kMaxShownNameBytes);
    return table;
  }

  static void add(FileDiff::Table table, FileDiff& diff) {
    if (table.counts && table.counts->none()) {
      ++diff.equal_tables;
    } else if (diff.tables.size() < kMaxListed) {
      diff.tables.push_back(std::move(table));
    } else {
      ++diff.not_listed;
    }
  }

  DiffFile& a_;
  DiffFile& b_;
  const Schema schema_a_, schema_b_;
  const std::size_t rows_per_table_;
  std::set<std::string> virtual_;
  TextBudget budget_{kTextBudget};
};

// Whether a statement has just failed on this file.
bool has_failed(const std::optional<DiffFile>& file) {
  if (!file) return true;  // A is opened first, and B only if that succeeds
  const int code = sqlite3_errcode(file->database.getHandle()) & 0xFF;
  return code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE;
}

std::string text_of(const SQLite::Exception& error) {
  const int code = error.getErrorCode() & 0xFF;
  return (code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? "damaged: " : "could not be read: ") +
         short_text(error.what(), kMaxErrorBytes);
}

}  // namespace

FileDiff diff_files(const std::string& a_path, const std::string& b_path, std::size_t rows_per_table,
                    std::function<void()> progress) {
  FileDiff diff;
  WatchedVfs vfs(std::move(progress));
  std::optional<DiffFile> a, b;
  try {
    a.emplace(vfs, a_path);
    b.emplace(vfs, b_path);
    FilePair(*a, *b, rows_per_table).compare(diff);
  } catch (const SQLite::Exception& error) {
    diff = FileDiff();
    diff.error = text_of(error);
    diff.error_side = has_failed(a) ? "a" : has_failed(b) ? "b" : "";
  }
  return diff;
}

int diff_files_command(const std::string& a, const std::string& b, std::size_t rows_per_table,
                       std::uint64_t size_bytes) {
  limit_this_process(size_bytes);
  const FileDiff diff = diff_files(a, b, rows_per_table, sign_of_life());
  fmt::print("{}\n", to_json(diff).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}

}  // namespace litepull
