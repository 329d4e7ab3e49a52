#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/base/clock.h"
#include "client/base/console.h"
#include "client/base/jobs.h"
#include "client/commands/commands.h"
#include "client/config/origin.h"
#include "client/restore/source.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "client/store/unchecked_text.h"

namespace litepull {
namespace {

constexpr int kIncomplete = 4;
constexpr std::size_t kTablesNamed = 3;

struct Outcome {
  std::string app;
  std::string snapshot;
  std::string snapshot_path;
  std::vector<std::string> missing;
  std::string origin;  // when it is not from here
  LocalRestore restored;
};

std::string_view proof_text(Proof proof) {
  switch (proof) {
    case Proof::kChecksum:
      return "checksum";
    case Proof::kIntegrity:
      return "integrity_check";
    case Proof::kNone:
      return "failed";
  }
  return "";
}

int exit_code_of(const Outcome& outcome) {
  const auto& databases = outcome.restored.databases;
  const bool bad = std::any_of(databases.begin(), databases.end(), [](const RestoredDatabase& database) {
    return database.proof == Proof::kNone;
  });
  return bad || !outcome.missing.empty() ? kIncomplete : 0;
}

std::int64_t rows_of(const RestoredDatabase& database) {
  std::int64_t rows = 0;
  for (const Manifest::Table& table : database.tables) rows += table.rows;
  return rows;
}

bool was_replaced(const Outcome& outcome, const std::string& name) {
  const auto& replaced = outcome.restored.replaced;
  return std::find(replaced.begin(), replaced.end(), name) != replaced.end();
}

nlohmann::ordered_json to_json(const Outcome& outcome, const RestoredDatabase& database) {
  nlohmann::ordered_json out;
  out["name"] = database.name;
  out["path"] = outcome.restored.directory + "/" + database.name;
  out["bytes"] = database.bytes;
  out["xxh128"] = database.xxh128;
  out["proof"] = proof_text(database.proof);
  out["problems"] = database.problems;
  out["unchecked"] = database.unchecked;
  out["replaced"] = was_replaced(outcome, database.name);
  out["rows"] = rows_of(database);
  out["tables"] = nlohmann::ordered_json::array();
  for (const Manifest::Table& table : database.tables)
    out["tables"].push_back({{"name", table.name}, {"rows", table.rows}});
  return out;
}

nlohmann::ordered_json to_json(const Outcome& outcome) {
  nlohmann::ordered_json out;
  out["app"] = outcome.app;
  out["exit_code"] = exit_code_of(outcome);
  out["snapshot"] = outcome.snapshot;
  out["snapshot_path"] = outcome.snapshot_path;
  out["directory"] = outcome.restored.directory;
  out["databases"] = nlohmann::ordered_json::array();
  for (const RestoredDatabase& database : outcome.restored.databases)
    out["databases"].push_back(to_json(outcome, database));
  out["missing"] = outcome.missing;
  out["origin"] = outcome.origin.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(outcome.origin);
  return out;
}

// "ledger 5231, accounts 1000, ...": the largest ones.
std::string largest_tables(const RestoredDatabase& database) {
  std::vector<Manifest::Table> tables = database.tables;
  std::stable_sort(tables.begin(), tables.end(),
                   [](const auto& a, const auto& b) { return a.rows > b.rows; });
  std::string text;
  for (std::size_t i = 0; i < std::min(tables.size(), kTablesNamed); ++i)
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", printable(tables[i].name), tables[i].rows);
  return text + (tables.size() > kTablesNamed ? ", ..." : "");
}

std::string shown_proof(Proof proof) {
  if (proof == Proof::kNone) return "NOT SOUND";
  return proof == Proof::kChecksum ? "as verified" : "checked now";
}

void print(const Outcome& outcome) {
  const LocalRestore& restored = outcome.restored;
  std::size_t width = 8;
  for (const auto& database : restored.databases) width = std::max(width, printable(database.name).size());
  fmt::print("{}: restored {} to {}\n", outcome.app, outcome.snapshot, printable(restored.directory));
  fmt::print("  {:{}}  {:>10}  {:>10}  {:11}  {}\n", "database", width, "size", "rows", "proof", "of these");
  for (const auto& database : restored.databases)
    fmt::print("  {:{}}  {:>10}  {:>10}  {:11}  {}\n", printable(database.name), width,
               format_bytes(database.bytes), rows_of(database), shown_proof(database.proof),
               largest_tables(database));
  if (restored.replaced.empty()) {
    fmt::print(
        "Next: stop the app; move its old files away with their -wal, -shm and -journal; move these into "
        "its\n"
        "storage directory and give them to the app's user (chown); start the app.\n");
  } else {
    fmt::print("Next: see that the app's user owns these files and the directory (chown); start the app.\n");
  }
}

void warn(const RestoreSource& source, const Outcome& outcome, spdlog::logger& log) {
  for (const std::string& missing : source.missing()) log.warn("not in {}: {}", source.snapshot(), missing);
  if (!outcome.origin.empty())
    log.warn("{} is {}: it is not of the server that this configuration names", source.snapshot(),
             outcome.origin);
  if (source.old_script())
    log.warn("{} was copied by the old script while it was written: it may lack or mix transactions",
             source.snapshot());
  for (const RestoredDatabase& database : outcome.restored.databases)
    if (database.proof == Proof::kNone)
      log.warn("{} is not sound{}", printable(database.name),
               database.problems.empty() ? "" : ": " + printable(database.problems.front()));
    else if (!database.unchecked.empty())
      log.warn("{}: {}", printable(database.name), unchecked_text(database.unchecked));
}

Outcome restore(const RestoreCommand& command, const Config& config, const Cancel& cancel, Board& board,
                spdlog::logger& log) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  const Listing listing = list_snapshots(store, config);
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const Snapshot& snapshot = select_restorable(listing, command.snapshot, now_unix_s);
  for (const std::string& newer : passed_over(listing, snapshot, command.snapshot, now_unix_s))
    log.warn("{}", newer);
  const RestoreSource source(store, listing, snapshot, command.choice);
  Outcome outcome{config.app_name,
                  source.snapshot(),
                  source.path(),
                  source.missing(),
                  origin_text(snapshot, source_of(config)),
                  {}};
  {
    Progress progress(board, config.app_name);
    outcome.restored = restore_to_directory(source, command.local, store.path(), cancel, progress, log);
  }
  warn(source, outcome, log);
  return outcome;
}

void print(const RestoreCommand& command, const Outcome& outcome) {
  if (command.common.json) {
    print_json(nlohmann::ordered_json::array({to_json(outcome)}));
  } else if (!command.common.quiet) {
    print(outcome);
  }
}

}  // namespace

int restore_command(const RestoreCommand& command) {
  const std::string& file = command.common.configs.at(0);
  Board board(stderr, isatty(STDERR_FILENO) != 0 && !command.common.quiet);
  const auto log = make_log(board, "");
  Cancel cancel;
  std::string app = printable(file);
  std::optional<Outcome> outcome;
  std::unique_ptr<Error> error;
  run_jobs(1, 1, cancel, [&](std::size_t) {
    error = error_of([&] {
      const Config config = load_config(file, command.common.environment);
      app = config.app_name;
      outcome = restore(command, config, cancel, board, *log);
    });
  });
  if (outcome) {
    print(command, *outcome);
    return exit_code_of(*outcome);
  }
  const int code = litepull::exit_code_of(error->kind());
  log->error("{}: {}", app, describe(*error));
  if (command.common.json) print_json(nlohmann::ordered_json::array({error_json(app, code, *error)}));
  return code;
}

}  // namespace litepull
