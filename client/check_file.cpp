#include "client/check_file.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/hostile_database.h"
#include "client/inner_command.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxProblems = 20;
constexpr std::size_t kMaxTables = 10'000;
constexpr std::size_t kMaxProblemBytes = 1000;

// Pages that are used twice can make the rest of a check endless; those of a sound file, never.
double max_cpu_s_after_damage(const std::string& path) {
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(path, unknown);
  return 120 + (unknown ? 0 : static_cast<double>(bytes) / 1e7);
}

std::string valid_utf8(const std::string& text) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  return nlohmann::json::parse(nlohmann::json(text).dump(-1, ' ', false, kReplace)).get<std::string>();
}

// SQLite does not even read CHECK constraints into a connection that cannot write (sqlite3AddCheckConstraint
// in its build.c), so a row that breaks one is not found: it is the app's data, as with foreign keys.
void check_integrity(WatchedVfs& vfs, SQLite::Database& database, CheckDepth depth, double cpu_s_after_damage,
                     FileCheck& result) {
  SQLite::Statement rows(
      database, fmt::format("PRAGMA {}({})", depth == CheckDepth::kFull ? "integrity_check" : "quick_check",
                            kMaxProblems));
  while (rows.executeStep()) {
    const std::string said = rows.getColumn(0).getString();
    if (said == "ok") continue;
    if (result.problems.empty()) vfs.interrupt_after(cpu_s_after_damage);
    result.problems.push_back(short_text(valid_utf8(said), kMaxProblemBytes));
  }
}

void count_foreign_key_violations(SQLite::Database& database, FileCheck& result) {
  SQLite::Statement rows(database, "PRAGMA foreign_key_check");
  while (rows.executeStep()) ++result.foreign_key_violations;
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
    if (count.executeStep())
      result.tables.push_back(
          {short_name(valid_utf8(name), kMaxTableNameBytes), count.getColumn(0).getInt64()});
  }
}

}  // namespace

bool only_not_checked(const std::vector<std::string>& problems) {
  return !problems.empty() && std::all_of(problems.begin(), problems.end(), [](const std::string& problem) {
    return problem.starts_with(kNotChecked);
  });
}

FileCheck check_file(const std::string& path, CheckDepth depth, std::function<void()> progress) {
  FileCheck result;
  WatchedVfs vfs(std::move(progress));
  try {
    SQLite::Database database = open_hostile(vfs, path);
    check_integrity(vfs, database, depth, max_cpu_s_after_damage(path), result);
    if (result.problems.empty()) {
      count_foreign_key_violations(database, result);
      count_rows(database, result);
    }
  } catch (const SQLite::Exception& error) {
    // Missing collations or functions of the app, memory and the like say nothing about the file.
    const int code = error.getErrorCode() & 0xFF;
    const bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    if (code == SQLITE_INTERRUPT)
      result.problems.push_back("the check was ended there: the rest of a damaged file took too long");
    else
      result.problems.push_back((damage ? "" : kNotChecked) +
                                short_text(valid_utf8(error.what()), kMaxProblemBytes));
  }
  result.ok = result.problems.empty();
  return result;
}

int check_file_command(const std::string& path, CheckDepth depth, std::uint64_t size_bytes) {
  limit_this_process(size_bytes);
  const FileCheck check = check_file(path, depth, sign_of_life());
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
