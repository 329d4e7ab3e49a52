// What differs between two database files, A and B. A child hands it to its parent as JSON, and `litepull
// diff --json` prints the same JSON.
//
// Names and values are text from the databases, shortened. Pass them through printable() before showing them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

enum class Change { kAdded, kRemoved, kChanged };  // from A to B

std::string_view change_text(Change change);  // "added", "removed", "changed"

struct FileDiff {
  // A setting that differs: page_size, encoding, user_version and the like.
  struct Setting {
    std::string name, a, b;
  };

  struct Column {
    Change change = Change::kChanged;
    std::string name, a, b;  // its declaration in A and B; empty if not there
  };

  // A table, index, view or trigger that differs.
  struct Object {
    Change change = Change::kChanged;
    std::string type, name;
    std::string table;         // the table that it belongs to
    std::string sql_a, sql_b;  // empty if it is not there
    std::vector<Column> columns;
  };

  struct Cell {
    std::string column, a, b;
  };

  struct Row {
    Change change = Change::kChanged;
    std::string key;
    std::vector<Cell> cells;  // the first few that differ, of a changed row
    std::uint64_t more = 0;   // cells that differ besides those
  };

  struct Counts {
    std::uint64_t added = 0, removed = 0, changed = 0;

    bool none() const { return added + removed + changed == 0; }
  };

  // A table whose rows differ, or could not be compared.
  struct Table {
    std::string name;
    std::uint64_t rows_a = 0, rows_b = 0;
    std::optional<Counts> counts;  // none: the rows were not compared; `note` says why
    std::string key;               // which tells rows apart, e.g. "(tenant, number)"; may be empty
    std::string note;              // why not the primary key, or why no rows were compared; may be empty
    std::string part_of;           // the virtual table that keeps its content in this one; may be empty
    bool failed = false;           // it could not be read
    std::vector<Row> rows;
  };

  std::string error;       // if not empty, the files could not be compared, and the rest has no meaning
  std::string error_side;  // "a" or "b" if it is known which of them caused it
  std::vector<Setting> settings;
  std::vector<Object> objects;
  std::vector<Table> tables;
  std::vector<std::string> virtual_tables;  // these are not compared themselves
  std::uint64_t equal_tables = 0;
  std::uint64_t not_listed = 0;  // tables and objects that differ, beyond the most that are listed
  bool shortened = false;        // SQL, columns or rows were left out to limit the size

  bool differs() const;
  bool failed() const;  // whether the files or a table could not be compared
};

nlohmann::ordered_json to_json(const FileDiff& diff);

// Parses what a child printed. The text is not trusted: if it is no such JSON, the result has an error.
FileDiff parse_file_diff(const std::string& text);

}  // namespace litepull
