#include "client/diff/file_diff.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxEntries = 100'000;  // of any list

Json to_json(const FileDiff::Column& column) {
  return {{"change", change_text(column.change)}, {"name", column.name}, {"a", column.a}, {"b", column.b}};
}

Json to_json(const FileDiff::Object& object) {
  Json out{{"change", change_text(object.change)},
           {"type", object.type},
           {"name", object.name},
           {"table", object.table},
           {"sql_a", object.sql_a},
           {"sql_b", object.sql_b}};
  out["columns"] = Json::array();
  for (const auto& column : object.columns) out["columns"].push_back(to_json(column));
  return out;
}

Json to_json(const FileDiff::Row& row) {
  Json out{{"change", change_text(row.change)}, {"key", row.key}};
  out["cells"] = Json::array();
  for (const auto& cell : row.cells)
    out["cells"].push_back({{"column", cell.column}, {"a", cell.a}, {"b", cell.b}});
  out["more"] = row.more;
  return out;
}

Json to_json(const FileDiff::Table& table) {
  Json out{{"name", table.name}, {"rows_a", table.rows_a}, {"rows_b", table.rows_b}};
  out["added"] = table.counts ? Json(table.counts->added) : Json();
  out["removed"] = table.counts ? Json(table.counts->removed) : Json();
  out["changed"] = table.counts ? Json(table.counts->changed) : Json();
  out["key"] = table.key;
  out["note"] = table.note;
  out["part_of"] = table.part_of;
  out["failed"] = table.failed;
  out["rows"] = Json::array();
  for (const auto& row : table.rows) out["rows"].push_back(to_json(row));
  return out;
}

// --- reading it back -------------------------------------------------------------------------------------

// A field of another type counts as missing.

const Json& field(const Json& in, const char* name) {
  static const Json kNothing;
  if (!in.is_object()) return kNothing;
  const auto found = in.find(name);
  return found == in.end() ? kNothing : *found;
}

std::string text_in(const Json& in, const char* name) {
  const Json& value = field(in, name);
  return value.is_string() ? value.get<std::string>() : "";
}

std::uint64_t number_in(const Json& in, const char* name) {
  const Json& value = field(in, name);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

bool flag_in(const Json& in, const char* name) {
  const Json& value = field(in, name);
  return value.is_boolean() && value.get<bool>();
}

Change change_in(const Json& in) {
  const std::string text = text_in(in, "change");
  return text == "added" ? Change::kAdded : text == "removed" ? Change::kRemoved : Change::kChanged;
}

template <typename Entry, typename Read>
std::vector<Entry> list_in(const Json& in, const char* name, Read read) {
  std::vector<Entry> entries;
  const Json& list = field(in, name);
  if (!list.is_array()) return entries;
  for (const Json& entry : list) {
    if (entries.size() == kMaxEntries) break;
    entries.push_back(read(entry));
  }
  return entries;
}

FileDiff::Column column_from(const Json& in) {
  return {change_in(in), text_in(in, "name"), text_in(in, "a"), text_in(in, "b")};
}

FileDiff::Object object_from(const Json& in) {
  FileDiff::Object object{change_in(in),
                          text_in(in, "type"),
                          text_in(in, "name"),
                          text_in(in, "table"),
                          text_in(in, "sql_a"),
                          text_in(in, "sql_b"),
                          list_in<FileDiff::Column>(in, "columns", column_from)};
  return object;
}

FileDiff::Row row_from(const Json& in) {
  FileDiff::Row row{change_in(in), text_in(in, "key"), {}, number_in(in, "more")};
  row.cells = list_in<FileDiff::Cell>(in, "cells", [](const Json& cell) {
    return FileDiff::Cell{text_in(cell, "column"), text_in(cell, "a"), text_in(cell, "b")};
  });
  return row;
}

FileDiff::Table table_from(const Json& in) {
  FileDiff::Table table;
  table.name = text_in(in, "name");
  table.rows_a = number_in(in, "rows_a");
  table.rows_b = number_in(in, "rows_b");
  if (field(in, "added").is_number_unsigned())
    table.counts = {number_in(in, "added"), number_in(in, "removed"), number_in(in, "changed")};
  table.key = text_in(in, "key");
  table.note = text_in(in, "note");
  table.part_of = text_in(in, "part_of");
  table.failed = flag_in(in, "failed");
  table.rows = list_in<FileDiff::Row>(in, "rows", row_from);
  return table;
}

}  // namespace

std::string_view change_text(Change change) {
  switch (change) {
    case Change::kAdded:
      return "added";
    case Change::kRemoved:
      return "removed";
    case Change::kChanged:
      break;
  }
  return "changed";
}

bool FileDiff::differs() const {
  return !settings.empty() || !objects.empty() || !tables.empty() || not_listed > 0;
}

bool FileDiff::failed() const {
  return !error.empty() ||
         std::any_of(tables.begin(), tables.end(), [](const Table& table) { return table.failed; });
}

Json to_json(const FileDiff& diff) {
  Json out{{"error", diff.error.empty() ? Json() : Json(diff.error)},
           {"error_side", diff.error_side.empty() ? Json() : Json(diff.error_side)}};
  out["settings"] = Json::array();
  for (const auto& setting : diff.settings)
    out["settings"].push_back({{"name", setting.name}, {"a", setting.a}, {"b", setting.b}});
  out["schema"] = Json::array();
  for (const auto& object : diff.objects) out["schema"].push_back(to_json(object));
  out["tables"] = Json::array();
  for (const auto& table : diff.tables) out["tables"].push_back(to_json(table));
  out["virtual_tables"] = diff.virtual_tables;
  out["equal_tables"] = diff.equal_tables;
  out["not_listed"] = diff.not_listed;
  out["shortened"] = diff.shortened;
  return out;
}

FileDiff parse_file_diff(const std::string& text) {
  // Drops what is nested deeper than a result while parsing, since it would take far more memory than text.
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) { return depth <= kMaxDepth; };
  const Json in = Json::parse(text, shallow, false);
  FileDiff diff;
  if (!in.is_object() || !field(in, "tables").is_array()) {
    diff.error = "the comparison printed no result";
    return diff;
  }
  diff.error = text_in(in, "error");
  diff.error_side = text_in(in, "error_side");
  diff.settings = list_in<FileDiff::Setting>(in, "settings", [](const Json& setting) {
    return FileDiff::Setting{text_in(setting, "name"), text_in(setting, "a"), text_in(setting, "b")};
  });
  diff.objects = list_in<FileDiff::Object>(in, "schema", object_from);
  diff.tables = list_in<FileDiff::Table>(in, "tables", table_from);
  diff.virtual_tables = list_in<std::string>(in, "virtual_tables", [](const Json& name) {
    return name.is_string() ? name.get<std::string>() : std::string();
  });
  diff.equal_tables = number_in(in, "equal_tables");
  diff.not_listed = number_in(in, "not_listed");
  diff.shortened = flag_in(in, "shortened");
  return diff;
}

}  // namespace litepull
