#include "client/diff/schema.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <optional>

#include "client/sandbox/hostile_database.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxSqlBytes = 2000;
constexpr std::size_t kMaxColumns = 200;
constexpr std::array<const char*, 4> kTypes{"table", "index", "view", "trigger"};

bool same_name(const std::string& a, const std::string& b) {
  return sqlite3_stricmp(a.c_str(), b.c_str()) == 0;
}

std::optional<int> type_rank(const std::string& type) {
  const auto found = std::find(kTypes.begin(), kTypes.end(), type);
  if (found == kTypes.end()) return std::nullopt;
  return static_cast<int>(found - kTypes.begin());
}

std::string declaration(SQLite::Statement& row) {
  std::string text = row.getColumn("type").getString();
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
  if (row.getColumn("notnull").getInt() != 0) add("NOT NULL");
  if (!row.getColumn("dflt_value").isNull()) add("DEFAULT " + row.getColumn("dflt_value").getString());
  if (const int place = row.getColumn("pk").getInt(); place == 1)
    add("PRIMARY KEY");
  else if (place > 1)
    add("PRIMARY KEY, column " + std::to_string(place));
  if (row.getColumn("hidden").getInt() >= 2) add("GENERATED");
  return text;
}

std::string key_index_of(SQLite::Database& database, const std::string& table) {
  SQLite::Statement indexes(database, "PRAGMA index_list(" + quoted(table) + ")");
  while (indexes.executeStep())
    if (indexes.getColumn("origin").getString() == "pk") return indexes.getColumn("name").getString();
  return "";
}

// An index of a rowid table ends with the rowid. WITHOUT ROWID, there is none.
void read_key_index(SQLite::Database& database, TableShape& shape) {
  shape.key.clear();
  shape.has_rowid = false;
  SQLite::Statement columns(database, "PRAGMA index_xinfo(" + litepull::quoted(shape.key_index) + ")");
  while (columns.executeStep()) {
    if (columns.getColumn("cid").getInt() == -1) shape.has_rowid = true;
    if (columns.getColumn("key").getInt() == 0) continue;
    shape.key.push_back({columns.getColumn("name").getString(), columns.getColumn("coll").getString(),
                         columns.getColumn("desc").getInt() != 0});
  }
}

// "rowid" and the like mean the rowid unless a column has that name (https://sqlite.org/rowidtable.html).
std::string rowid_name(const TableShape& shape) {
  if (!shape.has_rowid) return "";
  if (!shape.key.empty() && shape.key_index.empty()) return shape.key.front().name;
  for (const char* name : {"rowid", "oid", "_rowid_"})
    if (find_column(shape, name) == nullptr) return name;
  return "";
}

std::vector<FileDiff::Column> diff_columns(const TableShape& a, const TableShape& b) {
  std::vector<FileDiff::Column> changes;
  for (const auto& column : a.columns) {
    const auto* other = find_column(b, column.name);
    if (other == nullptr) {
      changes.push_back({Change::kRemoved, column.name, column.declaration, ""});
    } else if (other->declaration != column.declaration) {
      changes.push_back({Change::kChanged, column.name, column.declaration, other->declaration});
    }
  }
  for (const auto& column : b.columns)
    if (find_column(a, column.name) == nullptr)
      changes.push_back({Change::kAdded, column.name, "", column.declaration});
  return changes;
}

// Without a collation of the app's own, a table that uses it cannot even be counted. A stand-in is enough,
// because nothing here is ordered or searched by it.
void add_stand_in(void*, sqlite3* database, int encoding, const char* name) {
  const auto equal = [](void*, int, const void*, int, const void*) { return 0; };
  sqlite3_create_collation(database, name, encoding, nullptr, equal);
}

// Adds objects to the result, and as much of their text as the budget allows.
class ObjectList {
 public:
  ObjectList(TextBudget& budget, FileDiff& diff) : budget_(budget), diff_(diff) {}

  void add(Change change, const std::pair<int, std::string>& id, const SchemaObject* a, const SchemaObject* b,
           std::vector<FileDiff::Column> columns) {
    if (diff_.objects.size() == kMaxListed) {
      ++diff_.not_listed;
      return;
    }
    FileDiff::Object object;
    object.change = change;
    object.type = kTypes.at(static_cast<std::size_t>(id.first));
    object.name = short_name(id.second, kMaxShownNameBytes);
    object.table = short_name((b != nullptr ? b : a)->table, kMaxShownNameBytes);
    if (a != nullptr) object.sql_a = fitting(a->sql);
    if (b != nullptr) object.sql_b = fitting(b->sql);
    for (FileDiff::Column& column : columns) add_column(std::move(column), object);
    diff_.objects.push_back(std::move(object));
  }

 private:
  std::string fitting(const std::string& sql) {
    std::string text = shortened(sql, kMaxSqlBytes);
    if (text.size() < sql.size()) diff_.shortened = true;
    if (budget_.take(text.size())) return text;
    diff_.shortened = true;
    return "";
  }

  void add_column(FileDiff::Column column, FileDiff::Object& object) {
    for (std::string* text : {&column.name, &column.a, &column.b})
      *text = short_name(*text, kMaxShownNameBytes);
    if (object.columns.size() < kMaxColumns &&
        budget_.take(column.name.size() + column.a.size() + column.b.size())) {
      object.columns.push_back(std::move(column));
    } else {
      diff_.shortened = true;
    }
  }

  TextBudget& budget_;
  FileDiff& diff_;
};

}  // namespace

DiffFile::DiffFile(WatchedVfs& vfs, const std::string& path) : database(open_hostile(vfs, path)) {
  sqlite3_collation_needed(database.getHandle(), nullptr, add_stand_in);
  encoding = database.execAndGet("PRAGMA encoding").getString();
}

Schema read_schema(SQLite::Database& database) {
  SQLite::Statement rows(database,
                         "SELECT type, name, tbl_name, sql, rootpage > 0 FROM sqlite_schema WHERE sql IS NOT "
                         "NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
  Schema schema;
  while (rows.executeStep()) {
    const auto rank = type_rank(rows.getColumn(0).getString());
    if (!rank) continue;
    schema[{*rank, rows.getColumn(1).getString()}] = {rows.getColumn(2).getString(),
                                                      rows.getColumn(3).getString(),
                                                      *rank == 0 && rows.getColumn(4).getInt() != 0};
  }
  return schema;
}

std::vector<std::string> virtual_tables(const Schema& schema) {
  std::vector<std::string> names;
  for (const auto& [id, object] : schema)
    if (id.first == 0 && !object.has_rows) names.push_back(id.second);
  return names;
}

const TableShape::Column* find_column(const TableShape& shape, const std::string& name) {
  const auto found = std::find_if(shape.columns.begin(), shape.columns.end(),
                                  [&](const auto& column) { return same_name(column.name, name); });
  return found == shape.columns.end() ? nullptr : &*found;
}

TableShape shape_of(SQLite::Database& database, const std::string& table) {
  TableShape shape;
  SQLite::Statement rows(database, "PRAGMA table_xinfo(" + quoted(table) + ")");
  while (rows.executeStep()) {
    shape.columns.push_back(
        {rows.getColumn("name").getString(), declaration(rows), rows.getColumn("hidden").getInt() >= 2});
    if (rows.getColumn("pk").getInt() > 0)
      shape.key.push_back({rows.getColumn("name").getString(), "BINARY", false});
  }
  shape.key_index = shape.key.empty() ? "" : key_index_of(database, table);
  if (!shape.key_index.empty()) read_key_index(database, shape);
  shape.rowid = rowid_name(shape);
  return shape;
}

std::string shortened(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  std::size_t end = max_bytes;
  while (end > 0 && end > max_bytes - 4 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

void diff_settings(DiffFile& a, DiffFile& b, FileDiff& diff) {
  for (const char* name : {"page_size", "encoding", "auto_vacuum", "user_version", "application_id"}) {
    const std::string query = std::string("PRAGMA ") + name;
    const std::string in_a = a.database.execAndGet(query).getString();
    const std::string in_b = b.database.execAndGet(query).getString();
    if (in_a != in_b) diff.settings.push_back({name, in_a, in_b});
  }
}

void diff_schemas(DiffFile& a, const Schema& schema_a, DiffFile& b, const Schema& schema_b,
                  TextBudget& budget, FileDiff& diff) {
  ObjectList list(budget, diff);
  for (const auto& [id, object] : schema_a) {
    const auto other = schema_b.find(id);
    if (other == schema_b.end()) {
      list.add(Change::kRemoved, id, &object, nullptr, {});
    } else if (other->second.sql != object.sql || other->second.table != object.table) {
      std::vector<FileDiff::Column> columns;
      if (object.has_rows && other->second.has_rows)
        columns = diff_columns(shape_of(a.database, id.second), shape_of(b.database, id.second));
      list.add(Change::kChanged, id, &object, &other->second, std::move(columns));
    }
  }
  for (const auto& [id, object] : schema_b)
    if (!schema_a.contains(id)) list.add(Change::kAdded, id, nullptr, &object, {});
}

}  // namespace litepull
