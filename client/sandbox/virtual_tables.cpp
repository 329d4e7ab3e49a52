#include "client/sandbox/virtual_tables.h"

#include <optional>
#include <regex>
#include <vector>

#include "client/sandbox/apps_own.h"
#include "client/sandbox/hostile_database.h"

namespace litepull {
namespace {

// How FTS3 to FTS5 say that they could not check (fts3IntegrityMethod and fts5IntegrityMethod).
constexpr const char* kNotValidated = "unable to validate the inverted index";

std::vector<std::string> virtual_tables(SQLite::Database& database) {
  std::vector<std::string> names;
  SQLite::Statement rows(
      database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage = 0 ORDER BY name");
  while (rows.executeStep()) names.push_back(rows.getColumn(0).getString());
  return names;
}

// What the statement lacks to return its first row.
std::optional<AppsOwn> missing_for(SQLite::Database& database, const std::string& sql) {
  try {
    SQLite::Statement statement(database, sql);
    statement.executeStep();
    return std::nullopt;
  } catch (const SQLite::Exception& error) {
    return apps_own_in(error.what());
  }
}

// FTS4 compresses its content with a function that its options name. Without it, it only says "SQL logic
// error".
std::optional<AppsOwn> missing_for_packing(SQLite::Database& database, const std::string& name) {
  static const std::regex kOption("uncompress\\s*=\\s*[\"'`\\[]?(\\w+)", std::regex::icase);
  SQLite::Statement row(database, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?");
  row.bind(1, name);
  if (!row.executeStep()) return std::nullopt;
  const std::string sql = row.getColumn(0).getString();
  for (std::sregex_iterator found(sql.begin(), sql.end(), kOption), end; found != end; ++found)
    if (const auto own = missing_for(database, "SELECT " + quoted((*found)[1]) + "(NULL)")) return own;
  return std::nullopt;
}

// FTS asks for its tokenizer when it has a text to divide. Without it, it only says "SQL logic error".
std::optional<AppsOwn> missing_for_content(SQLite::Database& database, const std::string& name) {
  const std::string table = quoted(name);
  auto own = missing_for(database, "SELECT 1 FROM " + table + " WHERE " + table + " MATCH 'a'");
  if (own && own->kind == "tokenizer") return own;
  own = missing_for(database, "SELECT * FROM " + table);
  return own && own->kind != "tokenizer" ? own : missing_for_packing(database, name);
}

std::optional<AppsOwn> missing_after(SQLite::Database& database, const std::string& name,
                                     const std::string& said) {
  if (const auto own = apps_own_in(said)) return own;
  return missing_for_content(database, name);
}

// Checks one table. Nothing when it was checked, else what only the app has.
std::optional<AppsOwn> check_one(SQLite::Database& database, const std::string& pragma,
                                 const std::string& name,
                                 const std::function<bool(const std::string&)>& on_problem) {
  try {
    // An unknown module is an error here. The check would skip it.
    SQLite::Statement(database, "PRAGMA table_info(" + quoted(name) + ")").executeStep();
    SQLite::Statement rows(database, "PRAGMA " + pragma + "(" + quoted(name) + ")");
    while (rows.executeStep()) {
      const std::string said = rows.getColumn(0).getString();
      if (said == "ok") continue;
      if (said.starts_with(kNotValidated))
        if (const auto own = missing_for_content(database, name)) return own;
      if (!on_problem(said)) break;
    }
    return std::nullopt;
  } catch (const SQLite::Exception& error) {
    if ((error.getErrorCode() & 0xFF) != SQLITE_ERROR) throw;
    const auto own = missing_after(database, name, error.what());
    if (!own) throw;
    return own;
  }
}

}  // namespace

bool has_virtual_tables(SQLite::Database& database) {
  return !virtual_tables(database).empty();
}

void check_virtual_tables(SQLite::Database& database, const std::string& pragma,
                          const std::function<bool(const std::string&)>& on_problem,
                          const std::function<void(const std::string&)>& on_unjudged) {
  for (const std::string& name : virtual_tables(database))
    if (const auto own = check_one(database, pragma, name, on_problem))
      on_unjudged("virtual table " + shown_name(name) + ": needs " + words_of(*own));
}

}  // namespace litepull
