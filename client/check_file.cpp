#include "client/check_file.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <csignal>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxProblems = 20;
constexpr std::size_t kMaxTables = 10'000;

// `path`, which is absolute, as a URI that says: nobody writes this file. So SQLite needs no lock, no WAL and
// no journal, and leaves nothing beside it (https://sqlite.org/uri.html#uriimmutable).
std::string immutable_uri(const std::string& path) {
  std::string uri = "file://";  // an empty authority, so that a path may begin with two slashes
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '-' || c == '_' || c == '.') {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", byte);
    }
  }
  return uri + "?immutable=1";
}

void harden(SQLite::Database& database) {
  sqlite3* handle = database.getHandle();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 256 << 20);
  database.exec("PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-65536");
}

void check_integrity(SQLite::Database& database, CheckDepth depth, FileCheck& result) {
  SQLite::Statement rows(
      database, fmt::format("PRAGMA {}({})", depth == CheckDepth::kFull ? "integrity_check" : "quick_check",
                            kMaxProblems));
  while (rows.executeStep()) {
    const std::string said = rows.getColumn(0).getString();
    if (said != "ok") result.problems.push_back(said);
  }
}

void count_foreign_key_violations(SQLite::Database& database, FileCheck& result) {
  SQLite::Statement rows(database, "PRAGMA foreign_key_check");
  while (rows.executeStep()) ++result.foreign_key_violations;
}

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

void count_rows(SQLite::Database& database, FileCheck& result) {
  // Virtual tables are left out: their content is in ordinary tables, which are counted.
  SQLite::Statement names(database,
                          "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT "
                          "LIKE 'sqlite\\_%' ESCAPE '\\' "
                          "ORDER BY name");
  while (names.executeStep() && result.tables.size() < kMaxTables) {
    const std::string name = names.getColumn(0).getString();
    SQLite::Statement count(database, "SELECT count(*) FROM " + quoted(name));
    if (count.executeStep()) result.tables.push_back({name, count.getColumn(0).getInt64()});
  }
}

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  setrlimit(static_cast<decltype(RLIMIT_CPU)>(resource), &both);
}

void limit_this_process(std::uint64_t size_bytes) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to outlive a client that is killed
#endif
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CPU, 120 + 120 * (size_bytes >> 30));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, (2ULL << 30) + size_bytes / 512);
#endif
}

}  // namespace

FileCheck check_file(const std::string& path, CheckDepth depth) {
  FileCheck result;
  try {
    SQLite::Database database(immutable_uri(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    harden(database);
    check_integrity(database, depth, result);
    if (result.problems.empty()) {
      count_foreign_key_violations(database, result);
      count_rows(database, result);
    }
  } catch (const SQLite::Exception& error) {
    // Missing collations or functions of the app, memory and the like say nothing about the file.
    const int code = error.getErrorCode() & 0xFF;
    const bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    result.problems.push_back((damage ? "" : kNotChecked) + std::string(error.what()));
  }
  result.ok = result.problems.empty();
  return result;
}

int check_file_command(const std::string& path, CheckDepth depth, std::uint64_t size_bytes) {
  limit_this_process(size_bytes);
  const FileCheck check = check_file(path, depth);
  nlohmann::json out;
  out["ok"] = check.ok;
  out["problems"] = check.problems;
  out["foreign_key_violations"] = check.foreign_key_violations;
  out["tables"] = nlohmann::json::array();
  for (const auto& table : check.tables)
    out["tables"].push_back({{"name", table.name}, {"rows", table.rows}});
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}

}  // namespace litepull
