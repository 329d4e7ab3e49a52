#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/base/progress.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/diff/diff.h"
#include "client/link/agent_file.h"
#include "common/short_name.h"

namespace litepull {
namespace {

struct DiffCommand {
  OneAppOptions common;
  DiffOptions options;
};

constexpr std::size_t kMaxSqlShown = 200;
constexpr std::size_t kMaxTableWidth = 40;

// --- for machines ----------------------------------------------------------------------------------------

nlohmann::ordered_json to_json(const DiffSide& side) {
  nlohmann::ordered_json out;
  out["snapshot"] = side.live() ? nlohmann::ordered_json() : nlohmann::ordered_json(side.name);
  out["live"] = side.live();
  out["label"] = side.label;
  out["pinned_at"] =
      side.pinned_at.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(side.pinned_at);
  out["old_script"] = side.old_script;
  out["origin"] = side.origin.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(side.origin);
  return out;
}

nlohmann::ordered_json to_json(const DatabaseDiff& database) {
  nlohmann::ordered_json out;
  out["name"] = database.name;
  out["status"] = status_text(database.status);
  out["same_file"] = database.same_file;
  out.update(to_json(database.diff));
  return out;
}

nlohmann::ordered_json to_json(const std::string& app, const DiffResult& result) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["exit_code"] = exit_code(result);
  out["a"] = to_json(result.a);
  out["b"] = to_json(result.b);
  out["identical"] = result.identical();
  out["databases"] = nlohmann::ordered_json::array();
  for (const DatabaseDiff& database : result.databases) out["databases"].push_back(to_json(database));
  return out;
}

// --- for people ------------------------------------------------------------------------------------------

void print_side(const char* letter, const DiffSide& side) {
  std::string line = side.live() ? "the live server" : side.name;
  if (!side.label.empty()) line += "  " + printable(side.label);
  if (side.live()) line += ", pinned " + printable(local_time(side.pinned_at));
  if (side.old_script) line += "  (old script)";
  if (!side.origin.empty()) line += "  (" + side.origin + ")";
  fmt::print("  {}  {}\n", letter, line);
}

char sign_of(Change change) {
  return change == Change::kAdded ? '+' : change == Change::kRemoved ? '-' : '~';
}

// The SQL on one line, shortened.
std::string sql_text(const std::string& sql) {
  std::string line;
  for (const char c : sql) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  line = short_text(line, kMaxSqlShown);
  return printable(line);
}

void print_column(const FileDiff::Column& column) {
  const std::string a = printable(column.a), b = printable(column.b);
  const std::string what = column.change == Change::kChanged ? a + " -> " + b : a + b;
  fmt::print("      {} column {}  {}\n", sign_of(column.change), printable(column.name), what);
}

void print_object(const FileDiff::Object& object) {
  const bool of_table = object.type != "table" && object.table != object.name;
  fmt::print("    {} {} {}{}\n", sign_of(object.change), object.type, printable(object.name),
             of_table ? " on " + printable(object.table) : "");
  for (const FileDiff::Column& column : object.columns) print_column(column);
  if (!object.columns.empty()) return;
  const char* indent = object.change == Change::kChanged ? "      - " : "        ";
  if (!object.sql_a.empty()) fmt::print("{}{}\n", indent, sql_text(object.sql_a));
  indent = object.change == Change::kChanged ? "      + " : "        ";
  if (!object.sql_b.empty()) fmt::print("{}{}\n", indent, sql_text(object.sql_b));
}

void print_row(const FileDiff::Row& row) {
  std::string cells;
  for (const FileDiff::Cell& cell : row.cells)
    cells += fmt::format("{} {}: {} -> {}", cells.empty() ? " " : ",", printable(cell.column),
                         printable(cell.a), printable(cell.b));
  if (row.more > 0) cells += fmt::format(", and {} more", row.more);
  fmt::print("      {} {}{}\n", sign_of(row.change), printable(row.key), cells);
}

std::string count_text(char sign, std::uint64_t count) {
  return count == 0 ? "" : fmt::format("{}{}", sign, count);
}

void print_table(const FileDiff::Table& table, std::size_t width) {
  const FileDiff::Counts counts = table.counts.value_or(FileDiff::Counts{});
  fmt::print("    {:{}}  {:>9} {:>9} {:>9}   ", printable(table.name), width, count_text('+', counts.added),
             count_text('-', counts.removed), count_text('~', counts.changed));
  if (!table.failed) fmt::print("{} -> {} rows", table.rows_a, table.rows_b);
  if (!table.part_of.empty()) fmt::print("  (part of {})", printable(table.part_of));
  fmt::print("\n");
  if (!table.note.empty()) fmt::print("      {}\n", printable(table.note));
  if (!table.part_of.empty()) return;  // a person can read nothing in its rows
  for (const FileDiff::Row& row : table.rows) print_row(row);
}

std::size_t width_of(const std::vector<FileDiff::Table>& tables) {
  std::size_t width = 0;
  for (const auto& table : tables) width = std::max(width, printable(table.name).size());
  return std::min(width, kMaxTableWidth);
}

void print_changes(const FileDiff& diff) {
  for (const auto& setting : diff.settings)
    fmt::print("    ~ {}  {} -> {}\n", printable(setting.name), printable(setting.a), printable(setting.b));
  for (const auto& object : diff.objects) print_object(object);
  const std::size_t width = width_of(diff.tables);
  for (const auto& table : diff.tables) print_table(table, width);
  if (diff.not_listed > 0) fmt::print("    and {} more that differ\n", diff.not_listed);
  if (diff.shortened) fmt::print("    some SQL, columns or rows are left out for their length\n");
}

std::string state_of(const DatabaseDiff& database) {
  switch (database.status) {
    case DatabaseStatus::kSame:
      return database.same_file ? "no difference" : "no difference in schema and rows";
    case DatabaseStatus::kChanged:
      return "changed";
    case DatabaseStatus::kOnlyInA:
      return "only in A";
    case DatabaseStatus::kOnlyInB:
      return "only in B";
    case DatabaseStatus::kError:
      break;
  }
  const std::string& side = database.diff.error_side;
  return "ERROR: " +
         std::string(side == "a"   ? "in A: "
                     : side == "b" ? "in B: "
                                   : "") +
         printable(database.diff.error);
}

void print(const std::string& app, const DiffResult& result) {
  fmt::print("{}{}\n", app, result.identical() ? ": no difference" : "");
  print_side("A", result.a);
  print_side("B", result.b);
  for (const DatabaseDiff& database : result.databases) {
    fmt::print("  {}: {}\n", printable(database.name), state_of(database));
    if (database.status == DatabaseStatus::kChanged) print_changes(database.diff);
  }
}

int diff_command(const DiffCommand& command) {
  DiffOptions options = command.options;
  if (options.a == kLiveWord || options.b == kLiveWord) options.agent_path = find_agent(options.agent_path);
  return run_app(command.common, OnSignal::kCancel, [&](const AppContext& run) {
    for (const std::string& warning : run.config.warnings) run.log.warn("{}", warning);
    DiffResult result;
    {
      Progress progress(run.board, run.config.app_name);
      result = run_diff(run.config, options, run.cancel, progress, run.log);
    }
    if (!command.common.json) print(run.config.app_name, result);
    return AppResult{to_json(run.config.app_name, result), exit_code(result)};
  });
}

}  // namespace

void add_diff(CommandLine& line) {
  auto diff = line.make<DiffCommand>();
  diff->options.agent_path = line.agent_path();
  Options command =
      line.add("diff", "Show what changed between two snapshots, or between one and the live server", diff,
               diff_command);
  add_config(command, diff->common);
  command.add("A", diff->options.a, std::string("live, ") + kSnapshotWords).required("latest");
  command.add("B", diff->options.b, "What to compare A with, in the same words").required("live");
  add_databases(command, diff->options.databases);
  command.add("--rows", diff->options.rows, "Show up to this many of the rows that differ, for each table")
      .range(0, 10'000);
  add_json(command, diff->common);
  command.footer("Example:\n  litepull diff config/projects/billing.env before-deploy live");
}

}  // namespace litepull
