#include "tests/support/app_schemas.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <fstream>
#include <stdexcept>

namespace litepull::test {
namespace {

// --- what the app registers ------------------------------------------------------------------------------

// Of a text its first letter, turned around the alphabet: a value that no stand-in would give.
void turn_letter(sqlite3_context* context, int count, sqlite3_value** values) {
  const char* text = count > 0 ? reinterpret_cast<const char*>(sqlite3_value_text(values[count - 1])) : "x";
  if (text == nullptr || *text == '\0') return sqlite3_result_text(context, "-", 1, SQLITE_STATIC);
  const char letter = static_cast<char>('a' + ('z' - std::tolower(static_cast<unsigned char>(*text))) % 26);
  sqlite3_result_text(context, &letter, 1, SQLITE_TRANSIENT);
}

void be_true(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int(context, 1);
}

void give_back(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_value(context, values[0]);
}

// From z to a, in any letter case.
int compare_backwards(void*, int a_bytes, const void* a, int b_bytes, const void* b) {
  const auto lower = [](const void* text, int bytes) {
    std::string out(static_cast<const char*>(text), static_cast<std::size_t>(bytes));
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
  };
  return lower(b, b_bytes).compare(lower(a, a_bytes));
}

void add_function(sqlite3* handle, const char* name, int arguments, decltype(&be_true) function) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  sqlite3_create_function(handle, name, arguments, kFlags, nullptr, function, nullptr, nullptr);
}

void add_functions(sqlite3* handle) {
  for (const char* name : {"sound", "slugify", "so\"und", "Ähnlich"})
    add_function(handle, name, -1, turn_letter);
  add_function(handle, "lower", 2, turn_letter);
  add_function(handle, "total", 1, turn_letter);  // to SQLite an aggregate
  add_function(handle, "now_utc", 0, turn_letter);
  for (const char* name : {"regexp", "match"}) add_function(handle, name, 2, be_true);
  add_function(handle, "active", -1, be_true);
  for (const char* name : {"zip", "unzip"}) add_function(handle, name, 1, give_back);
}

void add_tokenizers(SQLite::Database& database) {
  sqlite3* handle = database.getHandle();
  fts5_api* api = nullptr;
  sqlite3_stmt* ask = nullptr;
  sqlite3_prepare_v2(handle, "SELECT fts5(?)", -1, &ask, nullptr);
  sqlite3_bind_pointer(ask, 1, &api, "fts5_api_ptr", nullptr);
  sqlite3_step(ask);
  sqlite3_finalize(ask);
  void* data = nullptr;
  fts5_tokenizer tokenizer{};
  api->xFindTokenizer(api, "ascii", &data, &tokenizer);
  api->xCreateTokenizer(api, "words_of_ours", data, &tokenizer, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 1, nullptr);
  database.exec("SELECT fts3_tokenizer('words_of_ours', fts3_tokenizer('simple'))");
}

int connect(sqlite3* handle, void*, int, const char* const*, sqlite3_vtab** table, char**) {
  *table = new sqlite3_vtab{};
  return sqlite3_declare_vtab(handle, "CREATE TABLE x(a, b)");
}

int disconnect(sqlite3_vtab* table) {
  delete table;
  return SQLITE_OK;
}

int best_index(sqlite3_vtab*, sqlite3_index_info*) {
  return SQLITE_OK;
}

void add_module(sqlite3* handle) {
  static const sqlite3_module module = [] {
    sqlite3_module made{};
    made.xCreate = made.xConnect = connect;
    made.xDisconnect = made.xDestroy = disconnect;
    made.xBestIndex = best_index;
    return made;
  }();
  sqlite3_create_module(handle, "vectors", &module, nullptr);
}

// --- the schemas -----------------------------------------------------------------------------------------

constexpr const char* kNames = "INSERT INTO names(name) VALUES('b'), ('A'), ('c'), ('Ä'), ('aa'), ('B2');";
const std::string kCollation = "needs the app's own collation \"LOCALIZED\"";
const std::string kSound = "needs the app's own function \"sound\"";
const std::string kSlugify = "needs the app's own function \"slugify\"";

std::string names(const std::string& columns, const std::string& more = "") {
  return "CREATE TABLE names(id INTEGER PRIMARY KEY, " + columns + "); " + more + ";" + kNames;
}

std::string index_i(const std::string& why) {
  return "index \"i\" of table \"names\": " + why;
}

std::string column(const std::string& name) {
  return "column \"" + name + "\" of table \"names\": " + kSlugify;
}

std::vector<AppSchema> with_collations() {
  const std::string collated = "name TEXT COLLATE LOCALIZED";
  return {
      {"index on a column with a collation",
       names(collated, "CREATE INDEX i ON names(name)"),
       {index_i(kCollation)}},
      {"falling index", names(collated, "CREATE INDEX i ON names(name DESC)"), {index_i(kCollation)}},
      {"unique column",
       names(collated + " UNIQUE"),
       {"index \"sqlite_autoindex_names_1\" of table \"names\": " + kCollation}},
      {"primary key",
       "CREATE TABLE names(" + collated + " PRIMARY KEY);" + kNames,
       {"index \"sqlite_autoindex_names_1\" of table \"names\": " + kCollation}},
      {"primary key without rowid",
       "CREATE TABLE names(" + collated + " PRIMARY KEY, n INT NOT NULL DEFAULT 1) WITHOUT ROWID;" + kNames,
       {"the order of table \"names\": " + kCollation}},
      {"index beside a primary key without rowid",
       "CREATE TABLE names(" + collated +
           " PRIMARY KEY, n INT DEFAULT 1) WITHOUT ROWID; CREATE INDEX i ON names(n);" + kNames,
       {"the order of table \"names\": " + kCollation, index_i(kCollation)}},
      {"collation of the index alone",
       names("name TEXT", "CREATE INDEX i ON names(name COLLATE LOCALIZED)"),
       {index_i(kCollation)}},
      {"one column of several",
       names(collated + ", n INT", "CREATE INDEX i ON names(n, name)"),
       {index_i(kCollation)}},
      {"one index of two",
       names(collated, "CREATE INDEX i ON names(name); CREATE INDEX j ON names(name COLLATE NOCASE)"),
       {index_i(kCollation)}},
      {"no index", names(collated)},
      {"condition of an index",
       names(collated, "CREATE INDEX i ON names(id) WHERE name > 'b'"),
       {index_i(kCollation)}},
      {"index on an expression of the column",
       names(collated, "CREATE INDEX i ON names(max(name, 'b'))"),
       {index_i(kCollation)}},
      {"comparison that names the collation",
       names("name TEXT", "CREATE INDEX i ON names(name = 'b' COLLATE LOCALIZED)"),
       {index_i(kCollation)}},
      {"UTF-16",
       names(collated, "CREATE INDEX i ON names(name)"),
       {index_i(kCollation)},
       {},
       "PRAGMA encoding='UTF-16'"},
      {"parent of a foreign key",
       names(collated + " UNIQUE",
             "CREATE TABLE kids(name TEXT REFERENCES names(name)); INSERT INTO kids VALUES('A'), ('nobody')"),
       {"index \"sqlite_autoindex_names_1\" of table \"names\": " + kCollation},
       {"table \"kids\": no such collation sequence: LOCALIZED"}},
  };
}

std::vector<AppSchema> with_functions() {
  return {
      {"index on a function", names("name TEXT", "CREATE INDEX i ON names(sound(name))"), {index_i(kSound)}},
      {"function in a function",
       names("name TEXT", "CREATE INDEX i ON names(upper(sound(name)))"),
       {index_i(kSound)}},
      {"beside an index that can be checked",
       names("name TEXT", "CREATE INDEX i ON names(sound(name)); CREATE INDEX j ON names(lower(name))"),
       {index_i(kSound)}},
      {"condition with a function",
       names("name TEXT", "CREATE INDEX i ON names(name) WHERE active(id)"),
       {index_i("needs the app's own function \"active\"")}},
      {"condition with REGEXP",
       names("name TEXT", "CREATE INDEX i ON names(id) WHERE name REGEXP '^[a-b]'"),
       {index_i("needs the app's own function \"REGEXP\"")}},
      {"condition with MATCH",
       names("name TEXT", "CREATE INDEX i ON names(id) WHERE name MATCH 'a'"),
       {index_i("needs the app's own function \"MATCH\"")}},
      {"SQLite's function with more arguments",
       names("name TEXT", "CREATE INDEX i ON names(lower('de', name)); CREATE INDEX j ON names(lower(name))"),
       {index_i("needs the app's own function \"lower\""),
        "index \"j\" of table \"names\": needs the app's own function \"lower\""}},
      {"UTF-16 and more arguments",
       names("name TEXT", "CREATE INDEX i ON names(lower('de', name))"),
       {index_i("needs the app's own function \"lower\"")},
       {},
       "PRAGMA encoding='UTF-16'"},
      {"check constraint and stored column with more arguments",
       names("name TEXT CHECK(lower('de', name) > ''), s TEXT AS (lower('de', name)) STORED")},
      {"SQLite's aggregate as a function",
       names("name TEXT", "CREATE INDEX i ON names(total(name))"),
       {index_i("needs the app's own function \"total\"")}},
      {"names that must be quoted",
       names("name TEXT",
             "CREATE INDEX \"select\" ON names(\"so\"\"und\"(name)); CREATE INDEX i ON names([sound](name))"),
       {"index \"select\" of table \"names\": needs the app's own function \"so\"\"und\"", index_i(kSound)}},
      {"name beyond ASCII",
       names("name TEXT", "CREATE INDEX i ON names(Ähnlich(name))"),
       {index_i("needs the app's own function \"Ähnlich\"")}},
      {"auto_vacuum",
       names("name TEXT", "CREATE INDEX i ON names(sound(name))"),
       {index_i(kSound)},
       {},
       "PRAGMA auto_vacuum=INCREMENTAL"},
      {"check constraint", names("name TEXT CHECK(active(name))")},
      {"default", names("name TEXT, at TEXT DEFAULT (now_utc())")},
      {"view and trigger", names("name TEXT",
                                 "CREATE VIEW sounds AS SELECT sound(name) AS s FROM names; CREATE TRIGGER t "
                                 "AFTER INSERT ON names BEGIN "
                                 "UPDATE names SET name = sound(name) WHERE 0; END")},
  };
}

std::vector<AppSchema> with_columns() {
  const std::string slug = "name TEXT, slug TEXT AS (slugify(name)) ";
  return {
      {"virtual column", names(slug + "VIRTUAL"), {column("slug")}},
      {"virtual column that is never null", names(slug + "VIRTUAL NOT NULL"), {column("slug")}},
      {"index on a virtual column",
       names(slug + "VIRTUAL", "CREATE INDEX i ON names(slug)"),
       {column("slug"), index_i(kSlugify)}},
      {"unique virtual column",
       "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT, slug INT AS (slugify(name) || id) UNIQUE);" +
           std::string(kNames),
       {column("slug"), "index \"sqlite_autoindex_names_1\" of table \"names\": " + kSlugify}},
      {"expression of a virtual column",
       names(slug + "VIRTUAL", "CREATE INDEX i ON names(slug || 'x')"),
       {column("slug"), index_i(kSlugify)}},
      {"virtual column of a virtual column",
       names(slug + "VIRTUAL, twice TEXT AS (slug || slug) VIRTUAL"),
       {column("slug"), column("twice")}},
      {"strict table",
       "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT, slug TEXT AS (slugify(name)) VIRTUAL NOT NULL) "
       "STRICT;" +
           std::string(kNames),
       {column("slug")}},
      {"stored column", names(slug + "STORED NOT NULL", "CREATE INDEX i ON names(slug)")},
  };
}

std::vector<AppSchema> with_virtual_tables() {
  const std::string docs = "virtual table \"docs\": needs the app's own ";
  const std::string fill = "INSERT INTO docs VALUES('some words', 'and more'), ('others', '')";
  return {
      {"FTS5 with a tokenizer",
       "CREATE VIRTUAL TABLE docs USING fts5(a, b, tokenize=words_of_ours);" + fill,
       {docs + "tokenizer \"words_of_ours\""}},
      {"FTS5 with a tokenizer around one",
       "CREATE VIRTUAL TABLE docs USING fts5(a, b, tokenize='porter words_of_ours');" + fill,
       {docs + "tokenizer"}},
      {"FTS4 with a tokenizer",
       "CREATE VIRTUAL TABLE docs USING fts4(a, b, tokenize=words_of_ours);" + fill,
       {docs + "tokenizer \"words_of_ours\""}},
      {"FTS4 that packs its content",
       "CREATE VIRTUAL TABLE docs USING fts4(a, b, compress=zip, uncompress=unzip);" + fill,
       {docs + "function \"unzip\""}},
      {"module", "CREATE VIRTUAL TABLE docs USING vectors(a)", {docs + "module \"vectors\""}},
      {"module with tables of its own",
       "CREATE VIRTUAL TABLE docs USING vectors(a); CREATE TABLE docs_data(x); INSERT INTO docs_data "
       "VALUES(1)",
       {docs + "module \"vectors\""}},
      {"everything at once",
       names("name TEXT COLLATE LOCALIZED, slug TEXT AS (slugify(name))",
             "CREATE INDEX i ON names(sound(name)); CREATE INDEX j ON names(name);"
             "CREATE VIRTUAL TABLE docs USING fts5(a, b, tokenize=words_of_ours);" +
                 fill),
       {column("slug"), "index \"j\" of table \"names\": " + kCollation, index_i(kSound),
        docs + "tokenizer \"words_of_ours\""}},
      {"foreign key without a parent index",
       "CREATE TABLE parents(id INT, code TEXT); CREATE TABLE kids(code TEXT REFERENCES parents(code));"
       "INSERT INTO kids VALUES('a'); CREATE TABLE lost(id INT REFERENCES kids(rowid2)); INSERT INTO lost "
       "VALUES(1);",
       {},
       {"table \"kids\": foreign key mismatch - \"kids\" referencing \"parents\"",
        "table \"lost\": foreign key mismatch - \"lost\" referencing \"kids\""}},
  };
}

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes.at(at + i));
  return value;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

const std::vector<AppSchema>& app_schemas() {
  static const std::vector<AppSchema> all = [] {
    std::vector<AppSchema> made;
    for (auto schemas : {with_collations(), with_functions(), with_columns(), with_virtual_tables()})
      for (AppSchema& schema : schemas) made.push_back(std::move(schema));
    return made;
  }();
  return all;
}

void make_app_database(const std::string& path, const AppSchema& schema) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  sqlite3* handle = database.getHandle();
  add_functions(handle);
  sqlite3_create_collation(handle, "LOCALIZED", SQLITE_UTF8, nullptr, compare_backwards);
  add_tokenizers(database);
  add_module(handle);
  database.exec("PRAGMA page_size=1024; " + schema.pragmas);
  database.exec("PRAGMA journal_mode=wal; PRAGMA synchronous=off; BEGIN");
  database.exec("CREATE TABLE plain(id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX plain_x ON plain(x)");
  for (int i = 0; i < kPlainRows; ++i)
    database.exec("INSERT INTO plain(x) VALUES('row " + std::to_string(i * 7919 % 1000) +
                  " of the plain table')");
  database.exec("CREATE TABLE gone(x); INSERT INTO gone VALUES(zeroblob(20000)); DELETE FROM gone");
  database.exec(schema.sql);
  database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
}

std::vector<unsigned> pages_of(const std::string& path, const std::string& name) {
  if (name == "free") return {big_endian(content_of(path), 32)};
  SQLite::Database database(path, SQLite::OPEN_READONLY);
  database.exec("PRAGMA writable_schema=ON");  // else some cannot be loaded
  SQLite::Statement rows(database, "SELECT pageno FROM dbstat WHERE name = ? AND ncell > 0 ORDER BY pageno");
  rows.bind(1, name);
  std::vector<unsigned> pages;
  while (rows.executeStep()) pages.push_back(rows.getColumn(0).getUInt());
  return pages;
}

void flip_bit_in_page(const std::string& path, unsigned page) {
  const std::string content = content_of(path);
  const auto size = static_cast<std::size_t>(static_cast<std::uint8_t>(content.at(16)) << 8 |
                                             static_cast<std::uint8_t>(content.at(17)));
  const std::size_t start = (page - 1) * size;
  const bool is_tree =
      content.at(start) == 2 || content.at(start) == 5 || content.at(start) == 10 || content.at(start) == 13;
  // The number of cells, or of a free page that of pages it lists.
  const std::size_t at = start + (is_tree ? 4 : 7);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(content.at(at) ^ 1));
  if (!file.flush()) throw std::runtime_error("cannot change " + path);
}

}  // namespace litepull::test
