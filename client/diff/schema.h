// Reads the schemas of two databases and the shapes of their tables, and finds what differs. Reads hostile
// files, so it runs in a child with limits. All functions throw SQLite::Exception.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client/diff/file_diff.h"
#include "client/sandbox/watched_vfs.h"

namespace litepull {

// One of the two databases, open.
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

// By rank of the type (0 for tables) and name. SQLite's own objects are left out.
using Schema = std::map<std::pair<int, std::string>, SchemaObject>;

Schema read_schema(SQLite::Database& database);

// The names of the virtual tables.
std::vector<std::string> virtual_tables(const Schema& schema);

struct KeyColumn {
  std::string name;
  std::string collation;
  bool descending = false;
};

struct TableShape {
  struct Column {
    std::string name;
    std::string declaration;  // its type and constraints
    bool generated = false;
  };

  std::vector<Column> columns;
  std::vector<KeyColumn> key;  // of the PRIMARY KEY; empty if there is none
  std::string key_index;       // the index that holds the key; empty if the key is the rowid
  bool has_rowid = true;       // not WITHOUT ROWID
  std::string rowid;           // a name for it; empty if columns have all of its names
};

TableShape shape_of(SQLite::Database& database, const std::string& table);

// The column of that name, by SQLite's rules for names; null if there is none. Lives as long as `shape`.
const TableShape::Column* find_column(const TableShape& shape, const std::string& name);

// Counts the bytes that a result may still spend on details.
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

// Cuts text between characters, and ends it with "..." if anything was cut.
std::string shortened(std::string_view text, std::size_t max_bytes);

inline constexpr std::size_t kMaxShownNameBytes = 200;
inline constexpr std::size_t kMaxListed = 10'000;  // of objects and of tables

// Add the settings and objects that differ to `diff`.
void diff_settings(DiffFile& a, DiffFile& b, FileDiff& diff);
void diff_schemas(DiffFile& a, const Schema& schema_a, DiffFile& b, const Schema& schema_b,
                  TextBudget& budget, FileDiff& diff);

}  // namespace litepull
