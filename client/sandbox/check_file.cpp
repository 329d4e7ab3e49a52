#include "client/sandbox/check_file.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/sandbox/apps_own.h"
#include "client/sandbox/child.h"
#include "client/sandbox/hostile_database.h"
#include "client/sandbox/page_count.h"
#include "client/sandbox/unjudged.h"
#include "client/sandbox/virtual_tables.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxProblems = 20;
constexpr std::size_t kMaxTables = 10'000;
constexpr std::size_t kMaxProblemBytes = 1000;
constexpr std::size_t kMaxUnchecked = 99;  // and one line that says that there are more

// Pages that are used twice can make the rest of a check endless. A sound file has none.
double max_cpu_s_after_damage(const std::string& path) {
  std::error_code unknown;
  const auto bytes = std::filesystem::file_size(path, unknown);
  return 120 + (unknown ? 0 : static_cast<double>(bytes) / 1e7);
}

std::string valid_utf8(const std::string& text) {
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  return nlohmann::json::parse(nlohmann::json(text).dump(-1, ' ', false, kReplace)).get<std::string>();
}

std::string line_of(const std::string& said) {
  return short_text(valid_utf8(said), kMaxProblemBytes);
}

std::vector<std::string> names_of(SQLite::Database& database, const std::string& condition) {
  std::vector<std::string> names;
  SQLite::Statement rows(database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0" +
                                       condition + " ORDER BY name");
  while (rows.executeStep()) names.push_back(rows.getColumn(0).getString());
  return names;
}

// No statement here runs the functions that a module leaves behind.
SQLite::Database open_without_modules(WatchedVfs& vfs, const std::string& path) {
  SQLite::Database database = open_unread(vfs, path);
  sqlite3_drop_modules(database.getHandle(), nullptr);
  return database;
}

// --- one check of a file ---------------------------------------------------------------------------------

// Checks on two connections. `walker_` has stand-ins for what only the app has, and no modules. So SQLite
// walks everything that is in ordinary tables, and what it says about parts that depend on a stand-in is left
// out. `plain_` does the rest. It only has the stand-ins without which the schema cannot be loaded.
//
// SQLite does not even read CHECK constraints into a connection that cannot write (sqlite3AddCheckConstraint
// in its build.c). So a row that breaks one is not found. Like foreign keys, such a row is the app's data.
class FileChecker {
 public:
  FileChecker(WatchedVfs& vfs, const std::string& path, CheckDepth depth, FileCheck& result);
  // Throws SQLite::Exception. What was found by then is in the result.
  void run();

 private:
  void check_ordinary_tables();
  void check_around_stand_ins();
  void check(const std::string& pragma, const Unjudged* unjudged);
  void check_use_of_pages();
  void check_length();
  void check_virtual_tables();
  void check_foreign_keys(const std::string& table);
  void count_rows(const std::string& table);
  bool add_problem(const std::string& said);
  void leave_out(const std::vector<std::string>& parts);
  std::string pragma() const { return depth_ == CheckDepth::kFull ? "integrity_check" : "quick_check"; }

  WatchedVfs& vfs_;
  const double cpu_s_after_damage_;
  const std::string path_;
  const CheckDepth depth_;
  FileCheck& result_;
  StandIns walker_, plain_;
};

FileChecker::FileChecker(WatchedVfs& vfs, const std::string& path, CheckDepth depth, FileCheck& result)
    : vfs_(vfs),
      cpu_s_after_damage_(max_cpu_s_after_damage(path)),
      path_(path),
      depth_(depth),
      result_(result),
      walker_([&vfs, path] { return open_without_modules(vfs, path); },
              StandIns::For::kFunctionsAndCollations),
      plain_([&vfs, path] { return open_unread(vfs, path); }, StandIns::For::kFunctions) {}

// What a schema needs does not depend on the depth, and the user should be told the same at each depth.
void FileChecker::run() {
  walker_.prepare("PRAGMA integrity_check");
  check_ordinary_tables();
  if (result_.problems.empty()) check_length();
  if (result_.problems.empty() && has_virtual_tables(plain_.database())) check_use_of_pages();
  if (result_.problems.empty()) check_virtual_tables();
  if (!result_.problems.empty()) return;
  for (const std::string& table : names_of(plain_.database(), "")) check_foreign_keys(table);
  // Virtual tables are left out, because their content is in ordinary tables, which are counted.
  for (const std::string& table : names_of(walker_.database(), " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"))
    if (result_.tables.size() < kMaxTables) count_rows(table);
}

void FileChecker::check_ordinary_tables() {
  if (walker_.none())
    check(fmt::format("{}({})", pragma(), kMaxProblems), nullptr);
  else
    check_around_stand_ins();
}

// There may be any number of lines that are left out. So the b-trees are checked first, with a limit: SQLite
// makes one text of everything that it says about them, and drops one that is too long.
void FileChecker::check_around_stand_ins() {
  const Unjudged unjudged(plain_.database(), walker_, plain_.functions());
  const bool for_loading_alone = walker_.collations().empty() && walker_.functions() == plain_.functions();
  if (unjudged.parts().empty() && !for_loading_alone)
    throw SQLite::Exception("what needs the app's own functions or collations was not found", SQLITE_ERROR);
  leave_out(unjudged.parts());
  check(fmt::format("quick_check({})", kMaxProblems), &unjudged);
  if (result_.problems.empty()) check(fmt::format("{}({})", pragma(), INT32_MAX), &unjudged);
}

// With virtual tables, SQLite does not always look at free pages and at pages without a use. So they are
// counted here.
void FileChecker::check_use_of_pages() {
  check("quick_check(sqlite_schema)", nullptr);
  if (!result_.problems.empty()) return;
  if (const std::string why = why_pages_do_not_add_up(plain_.database()); !why.empty()) add_problem(why);
}

void FileChecker::check(const std::string& pragma, const Unjudged* unjudged) {
  SQLite::Statement rows(walker_.database(), "PRAGMA " + pragma);
  while (rows.executeStep()) {
    const std::string said = rows.getColumn(0).getString();
    if (said == "ok" || (unjudged != nullptr && unjudged->is_about_one(said))) continue;
    if (!add_problem(said)) return;
  }
}

// SQLite reads a last page that is cut off as if zeros followed, and may find nothing wrong with it.
void FileChecker::check_length() {
  const auto number = [&](const char* pragma) {
    return static_cast<std::uint64_t>(plain_.database().execAndGet(pragma).getInt64());
  };
  std::error_code error;
  const std::uint64_t bytes = std::filesystem::file_size(path_, error);
  const std::uint64_t wanted = number("PRAGMA page_count") * number("PRAGMA page_size");
  if (!error && bytes < wanted)
    add_problem(fmt::format("the file is cut off: it has {} of {} bytes", bytes, wanted));
}

void FileChecker::check_virtual_tables() {
  std::vector<std::string> left_out;
  litepull::check_virtual_tables(
      plain_.database(), pragma(), [&](const std::string& said) { return add_problem(said); },
      [&](const std::string& part) { left_out.push_back(part); });
  leave_out(left_out);
}

// A key cannot be looked up when its parent has no index for it, or when only the app knows its order.
void FileChecker::check_foreign_keys(const std::string& table) {
  try {
    SQLite::Statement rows(plain_.database(), "PRAGMA foreign_key_check(" + quoted(table) + ")");
    while (rows.executeStep()) ++result_.foreign_key_violations;
  } catch (const SQLite::Exception& error) {
    if ((error.getErrorCode() & 0xFF) != SQLITE_ERROR) throw;
    if (result_.foreign_keys_unchecked.size() < kMaxUnchecked)
      result_.foreign_keys_unchecked.push_back(
          line_of("table " + quoted(short_name(table, kMaxTableNameBytes)) + ": " + error.what()));
  }
}

void FileChecker::count_rows(const std::string& table) {
  SQLite::Statement count(walker_.database(), "SELECT count(*) FROM " + quoted(table));
  if (count.executeStep())
    result_.tables.push_back(
        {short_name(valid_utf8(table), kMaxTableNameBytes), count.getColumn(0).getInt64()});
}

// Adds a problem. True when there is room for another one.
bool FileChecker::add_problem(const std::string& said) {
  if (result_.problems.empty()) vfs_.interrupt_after(cpu_s_after_damage_);
  result_.problems.push_back(line_of(said));
  return result_.problems.size() < kMaxProblems;
}

void FileChecker::leave_out(const std::vector<std::string>& parts) {
  std::vector<std::string>& unchecked = result_.unchecked;
  for (const std::string& part : parts)
    if (unchecked.size() <= kMaxUnchecked)
      unchecked.push_back(unchecked.size() < kMaxUnchecked ? line_of(part)
                                                           : "more parts than are named here");
}

}  // namespace

FileCheck check_file(const std::string& path, CheckDepth depth, std::function<void()> progress) {
  FileCheck result;
  WatchedVfs vfs(std::move(progress));
  try {
    FileChecker(vfs, path, depth, result).run();
  } catch (const SQLite::Exception& error) {
    // A lack of memory, for example, tells nothing about the file.
    const int code = error.getErrorCode() & 0xFF;
    const bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    if (code == SQLITE_INTERRUPT)
      result.problems.push_back("the check was ended there: the rest of a damaged file took too long");
    else
      result.problems.push_back((damage ? "" : kNotChecked) + line_of(error.what()));
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
  out["unchecked"] = check.unchecked;
  out["foreign_key_violations"] = check.foreign_key_violations;
  out["foreign_keys_unchecked"] = check.foreign_keys_unchecked;
  out["tables"] = nlohmann::json::array();
  for (const auto& table : check.tables)
    out["tables"].push_back({{"name", table.name}, {"rows", table.rows}});
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}

}  // namespace litepull
