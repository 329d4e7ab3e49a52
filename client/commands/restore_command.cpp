#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/base/exit_code.h"
#include "client/commands/commands.h"
#include "client/commands/restore_server_command.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/restore/local.h"
#include "client/restore/source.h"
#include "client/store/file_check.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"

namespace litepull {
namespace {

struct RestoreCommand {
  OneAppOptions common;
  std::string snapshot;  // as client/store/select_snapshot.h takes it
  RestoreChoice choice;
  LocalTarget local;
};

constexpr int kIncomplete = 4;
constexpr std::size_t kTablesNamed = 3;

struct RestoreOutcome {
  std::string app;
  std::string snapshot;
  std::string snapshot_path;
  std::vector<std::string> missing;
  std::string origin;  // where it came from; empty: from here
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

int exit_code_of(const RestoreOutcome& outcome) {
  const auto& databases = outcome.restored.databases;
  const bool bad = std::any_of(databases.begin(), databases.end(), [](const RestoredDatabase& database) {
    return database.proof == Proof::kNone;
  });
  return bad || !outcome.missing.empty() ? kExitIncomplete : 0;
}

std::int64_t rows_of(const RestoredDatabase& database) {
  std::int64_t rows = 0;
  for (const Manifest::Table& table : database.tables) rows += table.rows;
  return rows;
}

bool was_replaced(const RestoreOutcome& outcome, const std::string& name) {
  const auto& replaced = outcome.restored.replaced;
  return std::find(replaced.begin(), replaced.end(), name) != replaced.end();
}

nlohmann::ordered_json to_json(const RestoreOutcome& outcome, const RestoredDatabase& database) {
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

nlohmann::ordered_json to_json(const RestoreOutcome& outcome) {
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

// The largest tables and their rows: "ledger 5231, accounts 1000, ...".
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

void print(const RestoreOutcome& outcome) {
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

void warn(const RestoreSource& source, const RestoreOutcome& outcome, spdlog::logger& log) {
  for (const std::string& missing : source.missing()) log.warn("not in {}: {}", source.snapshot(), missing);
  if (!outcome.origin.empty())
    log.warn("{} is {}: it is not from the server that this configuration names", source.snapshot(),
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

RestoreOutcome restore(const RestoreCommand& command, const AppContext& run) {
  const Config& config = run.config;
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  const Listing listing = list_snapshots(store, config);
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const Snapshot& snapshot = select_restorable(listing, command.snapshot, now_unix_s);
  for (const std::string& newer : passed_over(listing, snapshot, command.snapshot, now_unix_s))
    run.log.warn("{}", newer);
  const RestoreSource source(store, listing, snapshot, command.choice);
  RestoreOutcome outcome{config.app_name,
                         source.snapshot(),
                         source.path(),
                         source.missing(),
                         origin_text(snapshot, source_of(config)),
                         {}};
  {
    Progress progress(run.board, config.app_name);
    outcome.restored =
        restore_to_directory(source, command.local, store.path(), run.cancel, progress, run.log);
  }
  warn(source, outcome, run.log);
  return outcome;
}

int restore_command(const RestoreCommand& command) {
  return run_app(command.common, OnSignal::kCancel, [&](const AppContext& run) {
    const RestoreOutcome outcome = restore(command, run);
    if (!command.common.json && !command.common.quiet) print(outcome);
    return AppResult{to_json(outcome), exit_code_of(outcome)};
  });
}

// The command in both forms: to a directory here, or onto the server.
struct RestoreCommands {
  RestoreCommand here;
  RestoreServerCommand server;
  bool to_server = false;
};

int restore_either(const RestoreCommands& restore) {
  if (!restore.to_server) return restore_command(restore.here);
  RestoreServerCommand server = restore.server;
  server.common = restore.here.common;
  server.options.snapshot = restore.here.snapshot;
  server.options.databases = restore.here.choice.databases;
  return restore_server_command(server);
}

}  // namespace

void add_restore(CommandLine& line) {
  auto commands = std::make_shared<RestoreCommands>();
  RestoreCommand& here = commands->here;
  here.common.environment = line.environment;
  ServerRestoreOptions& server = commands->server.options;
  server.agent_path = line.agent_path();
  Options command =
      line.add("restore", "Restore a snapshot's databases, each proven sound", commands, restore_either);
  add_config(command, here.common);
  command.add("SNAPSHOT", here.snapshot, kSnapshotWords).required("latest");
  add_databases(command, here.choice.databases);
  Options where = command.one_of("Where to", "--to /tmp/restored");
  const Option to =
      where.add("--to", here.local.directory, "To this directory on this machine").type_name("DIR");
  const Option to_server =
      where.flag("--to-server", commands->to_server, "Replace the live databases on the server");
  command.flag("--force", here.local.force, "Replace databases that are in DIR; the app must be stopped")
      .needs(to);
  command
      .flag("--allow-failed", here.choice.allow_failed,
            "Also restore databases that did not pass their check, as they are")
      .needs(to);
  command.add("--yes", commands->server.yes, "Do not ask; the name makes sure that it is the right app")
      .type_name("APP_NAME")
      .needs(to_server);
  command.flag("-n,--dry-run", server.dry_run, "Only say what would be replaced").needs(to_server);
  command
      .flag("!--no-safety-snapshot", server.safety_snapshot, "Take no snapshot of the live databases first")
      .needs(to_server);
  command
      .flag("--from-other-server", server.from_other_server,
            "Accept a snapshot that came from another server or directory")
      .needs(to_server);
  add_quiet(command, here.common, "warnings and errors");
  add_json(command, here.common);
  command.footer(
      "Exit codes with --to-server: 1 failed, and nothing changed on the server; 4 some databases were\n"
      "restored and others were not, or the link broke before that was known; others as for backup.\n\n"
      "Example:\n  litepull restore config/projects/billing.env latest --to /tmp/restored\n"
      "  litepull restore config/projects/billing.env latest-verified --to-server");
}

}  // namespace litepull
