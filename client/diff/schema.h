// What two databases say of their content: schemas, the shape of their tables, and what differs in them.
// Reads hostile files: for a process of its own with limits. All throw SQLite::Exception.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client/diff/file_diff.h"
#include "client/sandbox/watched_vfs.h"

namespace litepull {

// An open database of the two.
struct DiffFile {
  DiffFile(WatchedVfs& vfs, const std::string& path);

  SQLite::Database database;
  std::string encoding;  // "UTF-8", "UTF-16le" or "UTF-16be"
};

struct SchemaObject {
  std::string table;
  std::string sql;
  bool has_rows = false;  // an ordinary table
};

// By rank of the type (tables first) and name; without what is SQLite's own.
using Schema = std::map<std::pair<int, std::string>, SchemaObject>;

Schema read_schema(SQLite::Database& database);

// Names of its virtual tables.
std::vector<std::string> virtual_tables(const Schema& schema);

struct KeyColumn {
  std::string name;
  std::string collation;
  bool descending = false;
};

struct TableShape {
  struct Column {
    std::string name;
    std::string declaration;  // its type and what is said beside it
    bool generated = false;
  };

  std::vector<Column> columns;
  std::vector<KeyColumn> key;  // of the PRIMARY KEY; empty when there is none
  std::string key_index;       // that holds the key; empty when it is the rowid
  bool has_rowid = true;       // not WITHOUT ROWID
  std::string rowid;           // a name for it; empty when its columns have taken all of them
};

TableShape shape_of(SQLite::Database& database, const std::string& table);

// The column of that name, by SQLite's rules; null when there is none.
const TableShape::Column* find_column(const TableShape& shape, const std::string& name);

// Room for what may be left out of a result.
class TextBudget {
 public:
  explicit TextBudget(std::size_t bytes) : left_(bytes) {}

  bool take(std::size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  std::size_t left_;
};

// Without a broken character at its end, and marked when something was cut.
std::string shortened(std::string_view text, std::size_t max_bytes);

inline constexpr std::size_t kMaxShownNameBytes = 200;
inline constexpr std::size_t kMaxListed = 10'000;  // objects, and tables

// Adds settings and objects that differ.
void diff_settings(DiffFile& a, DiffFile& b, FileDiff& diff);
void diff_schemas(DiffFile& a, const Schema& schema_a, DiffFile& b, const Schema& schema_b,
                  TextBudget& budget, FileDiff& diff);

}  // namespace litepull
