// What differs between two database files, A and B: plain values, and their form as JSON, in which a child
// process hands them to its parent and `litepull diff --json` prints them.
//
// Names and values are text from the databases, shortened; whoever shows them makes them printable().
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

enum class Change { kAdded, kRemoved, kChanged };  // in B, as seen from A

std::string_view change_text(Change change);  // "added", "removed", "changed"

struct FileDiff {
  // A setting that differs: page_size, encoding, user_version and the like.
  struct Setting {
    std::string name, a, b;
  };

  struct Column {
    Change change = Change::kChanged;
    std::string name, a, b;  // how it is declared; empty where it is not
  };

  // A table, index, view or trigger that is not the same in both.
  struct Object {
    Change change = Change::kChanged;
    std::string type, name;
    std::string table;         // that it belongs to
    std::string sql_a, sql_b;  // empty where it is not
    std::vector<Column> columns;
  };

  struct Cell {
    std::string column, a, b;
  };

  struct Row {
    Change change = Change::kChanged;
    std::string key;
    std::vector<Cell> cells;  // the first few that differ, of a changed row
    std::uint64_t more = 0;   // cells that differ beside those
  };

  struct Counts {
    std::uint64_t added = 0, removed = 0, changed = 0;

    bool none() const { return added + removed + changed == 0; }
  };

  // A table whose rows differ, or could not be compared.
  struct Table {
    std::string name;
    std::uint64_t rows_a = 0, rows_b = 0;
    std::optional<Counts> counts;  // nothing: what is in the rows is not known; the note says why
    std::string key;               // by which rows were told apart, e.g. "(tenant, number)"; may be empty
    std::string note;              // why not by the primary key, or not at all; may be empty
    std::string part_of;           // the virtual table whose content it holds; may be empty
    bool failed = false;           // it could not be read
    std::vector<Row> rows;
  };

  std::string error;       // the files could not be compared, and nothing below means anything
  std::string error_side;  // "a" or "b" when it is known which of them is to blame
  std::vector<Setting> settings;
  std::vector<Object> objects;
  std::vector<Table> tables;
  std::vector<std::string> virtual_tables;  // not compared as such
  std::uint64_t equal_tables = 0;
  std::uint64_t not_listed = 0;  // tables and objects that differ and are too many to list
  bool shortened = false;        // SQL, columns or rows were left out for their size

  bool differs() const;
  bool failed() const;  // as a whole, or a table of it
};

nlohmann::ordered_json to_json(const FileDiff& diff);

// What a child printed, which is not trusted: anything that is not such a result becomes one with an error.
FileDiff parse_file_diff(const std::string& text);

}  // namespace litepull
