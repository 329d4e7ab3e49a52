#include "client/sandbox/unjudged.h"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string_view>

#include "client/sandbox/hostile_database.h"

namespace litepull {
namespace {

std::string function_words(const std::string& name) {
  return words_of({"function", name});
}

std::string collation_words(const std::string& name) {
  return words_of({"collation", name});
}

// --- names in SQL ----------------------------------------------------------------------------------------

bool is_of_a_name(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  return std::isalnum(byte) != 0 || letter == '_' || letter == '$' || byte >= 0x80;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !is_of_a_name(text[at - 1]) || !is_of_a_name(word.front());
    const bool ends = end == text.size() || !is_of_a_name(text[end]) || !is_of_a_name(word.back());
    if (begins && ends) return true;
  }
  return false;
}

std::string doubled(const std::string& name, char quote) {
  std::string out;
  for (const char letter : name) out += letter == quote ? std::string(2, quote) : std::string(1, letter);
  return out;
}

// Ignores the case of letters and quotes. It is also true for something else with that name, because it is
// better to leave out a part too many than to judge one that cannot be judged.
bool mentions(const std::string& sql, const std::string& name) {
  const std::string text = lower(sql), word = lower(name);
  return name.empty() || has_word(text, word) || has_word(text, doubled(word, '"')) ||
         has_word(text, doubled(word, '`')) || has_word(text, doubled(word, '\''));
}

std::optional<std::string> first_mentioned(const std::string& sql, const NameSet& names) {
  for (const std::string& name : names)
    if (mentions(sql, name)) return name;
  return std::nullopt;
}

// --- lines of a check ------------------------------------------------------------------------------------

// These lines come from sqlite3Pragma in SQLite's pragma.c. A row's number is in one of three places.
constexpr std::string_view kRowFirst[] = {"row ", "rowid not at end-of-record for row "};
constexpr std::string_view kRowLast = " stores an imprecise floating-point value for row ";

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

std::string without_row(std::string line) {
  for (const std::string_view begin : kRowFirst)
    if (line.starts_with(begin)) {
      const auto from = line.begin() + static_cast<std::ptrdiff_t>(begin.size());
      line.erase(from, std::find_if_not(from, line.end(), is_digit));
      return line;
    }
  if (line.find(kRowLast) != std::string::npos) line.erase(line.find_last_not_of("0123456789") + 1);
  return line;
}

std::vector<std::string> lines_about_index(const std::string& name) {
  return {"row  missing from index " + name, "row  values differ from index " + name,
          "rowid not at end-of-record for row  of index " + name, "non-unique entry in index " + name,
          "index " + name + std::string(kRowLast)};
}

std::vector<std::string> lines_about_column(const std::string& table, const std::string& column) {
  std::vector<std::string> lines;
  for (const char* what :
       {"NULL", "NUMERIC", "TEXT", "non-BLOB", "non-INT", "non-INTEGER", "non-REAL", "non-TEXT"})
    lines.push_back(std::string(what) + " value in " + table + "." + column);
  return lines;
}

// --- the schema ------------------------------------------------------------------------------------------

std::vector<std::string> column_of(SQLite::Database& database, const std::string& query, int column) {
  std::vector<std::string> values;
  SQLite::Statement rows(database, query);
  while (rows.executeStep()) values.push_back(rows.getColumn(column).getString());
  return values;
}

// The text of an entry of the schema. It is empty for the index of a constraint; nothing when there is no
// such entry.
std::optional<std::string> sql_of(SQLite::Database& database, const std::string& type,
                                  const std::string& name) {
  SQLite::Statement row(database, "SELECT sql FROM sqlite_schema WHERE type = ? AND name = ?");
  row.bind(1, type);
  row.bind(2, name);
  if (!row.executeStep()) return std::nullopt;
  return row.getColumn(0).getString();
}

std::string collation_of(SQLite::Database& database, const std::string& table, const std::string& column) {
  const char* collation = nullptr;
  const int code = sqlite3_table_column_metadata(database.getHandle(), "main", table.c_str(), column.c_str(),
                                                 nullptr, &collation, nullptr, nullptr, nullptr);
  return code == SQLITE_OK && collation != nullptr ? collation : "";
}

}  // namespace

// A table and those of its columns whose values or whose order only the app knows, with the reason.
struct Unjudged::Table {
  std::string name;
  std::string sql;
  std::map<std::string, std::string, AnyCase> values{}, orders{};
};

Unjudged::Unjudged(SQLite::Database& plain, const StandIns& own, const NameSet& needed_to_load)
    : plain_(plain), own_(own), needed_to_load_(needed_to_load) {
  const auto tables = column_of(
      plain, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name", 0);
  for (const std::string& table : tables) add_table(table);
}

void Unjudged::add_table(const std::string& name) {
  Table table{name, sql_of(plain_, "table", name).value_or("")};
  add_columns(table);
  SQLite::Statement rows(plain_,
                         "PRAGMA index_list(" + quoted(name) + ")");  // seq, name, unique, origin, partial
  while (rows.executeStep())
    add_index(table, {rows.getColumn(1).getString(), rows.getColumn(4).getInt() != 0});
}

// A hidden value of 2 means a generated column whose values are computed when read. Stored values need no
// function.
void Unjudged::add_columns(Table& table) {
  SQLite::Statement rows(plain_, "PRAGMA table_xinfo(" + litepull::quoted(table.name) + ")");
  while (rows.executeStep()) {
    const std::string column = rows.getColumn(1).getString();
    if (const std::string collation = collation_of(plain_, table.name, column);
        own_.collations().contains(collation))
      table.orders[column] = collation_words(collation);
    if (rows.getColumn(6).getInt() != 2) continue;
    const std::string why = why_column(table, column);
    if (why.empty()) continue;
    table.values[column] = why;
    parts_.push_back("column " + shown_name(column) + " of table " + shown_name(table.name) + ": needs " +
                     why);
    for (std::string& line : lines_about_column(table.name, column)) passed_over_.insert(std::move(line));
  }
}

// For a generated column, SQLite itself knows what it is made of.
std::string Unjudged::why_column(const Table& table, const std::string& column) const {
  try {
    const SQLite::Statement probe(plain_, "SELECT " + litepull::quoted(column) + " FROM " +
                                              litepull::quoted(table.name) + " NOT INDEXED");
  } catch (const SQLite::Exception& error) {
    const auto own = apps_own_in(error.what());
    if (!own) throw;
    return words_of(*own);
  }
  const auto function = first_mentioned(table.sql, needed_to_load_);
  return function ? function_words(*function) : "";
}

// The order of a table WITHOUT ROWID is an index without an entry of its own.
void Unjudged::add_index(const Table& table, const Index& index) {
  const auto sql = sql_of(plain_, "index", index.name);
  const std::string why = why_index(table, index, sql.value_or(""));
  if (why.empty()) return;
  if (sql) return pass_over_index(table, index.name, why);
  parts_.push_back("the order of table " + shown_name(table.name) + ": needs " + why);
  passed_over_.insert("row not in PRIMARY KEY order for " + table.name);
}

void Unjudged::pass_over_index(const Table& table, const std::string& index, const std::string& why) {
  parts_.push_back("index " + shown_name(index) + " of table " + shown_name(table.name) + ": needs " + why);
  for (std::string& line : lines_about_index(index)) passed_over_.insert(std::move(line));
}

// index_xinfo has seqno, cid (-2 for an expression), name, desc, coll and key. It includes the parts of the
// table's key that the index contains.
std::string Unjudged::why_index(const Table& table, const Index& index, const std::string& sql) const {
  bool computed = index.partial;
  SQLite::Statement rows(plain_, "PRAGMA index_xinfo(" + quoted(index.name) + ")");
  while (rows.executeStep()) {
    const std::string collation = rows.getColumn(4).getString();
    if (own_.collations().contains(collation)) return collation_words(collation);
    const auto found = table.values.find(rows.getColumn(2).getString());
    if (rows.getColumn(1).getInt() >= 0 && found != table.values.end()) return found->second;
    computed = computed || rows.getColumn(1).getInt() == -2;
  }
  return computed ? why_mentioned(table, sql) : "";
}

// For an index on an expression, or with a condition.
std::string Unjudged::why_mentioned(const Table& table, const std::string& sql) const {
  if (const auto function = first_mentioned(sql, own_.functions())) return function_words(*function);
  if (const auto collation = first_mentioned(sql, own_.collations())) return collation_words(*collation);
  for (const auto* columns : {&table.values, &table.orders})
    for (const auto& [column, why] : *columns)
      if (mentions(sql, column)) return why;
  return "";
}

bool Unjudged::is_about_one(const std::string& line) const {
  return passed_over_.contains(without_row(line));
}

}  // namespace litepull
