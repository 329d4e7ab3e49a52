#include "client/commands/restore_server_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "client/base/error_of.h"
#include "client/base/progress.h"
#include "client/base/terminal.h"
#include "client/commands/run_apps.h"
#include "client/link/agent_file.h"
#include "client/restore/safety.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

[[noreturn]] void throw_unconfirmed(const std::string& what, const std::string& app) {
  throw Error(ErrorKind::kConfiguration, what + "; nothing was done",
              "type the app's name when asked, or give --yes " + app);
}

void confirm(const RestoreServerCommand& command, const RestorePlan& plan, const Cancel& cancel) {
  require_possible(plan);
  if (!command.yes.empty()) {
    if (command.yes != plan.app)
      throw_unconfirmed("--yes names " + printable(command.yes) + ", and the app is " + plan.app, plan.app);
    return;
  }
  if (!can_ask()) throw_unconfirmed("there is no terminal to confirm this at", plan.app);
  fmt::print(stderr, "This replaces live data. Type {} to go on: ", plan.app);
  std::fflush(stderr);
  if (read_typed(cancel) != plan.app) throw_unconfirmed("not confirmed", plan.app);
}

// Of the databases that the restore replaces, those that the safety snapshot holds.
std::vector<Manifest::Database> saved_of(const RestorePlan& plan, const SafetySnapshot& safety) {
  std::vector<Manifest::Database> saved;
  for (const RestorePlan::Database& database : plan.databases)
    if (database.target.state == TargetState::kThere)
      for (const Manifest::Database& entry : safety.manifest.databases)
        if (entry.name == database.entry.name && !entry.error) saved.push_back(entry);
  return saved;
}

bool can_be_put_back(const RestorePlan& plan, const SafetySnapshot& safety) {
  return verified_together(saved_of(plan, safety)) == Verified::kOk;
}

std::string restore_line(const RestoreServerCommand& command, const std::string& snapshot,
                         const std::vector<std::string>& databases) {
  std::string text =
      fmt::format("litepull restore {} {} --to-server", shell_path(command.common.config), snapshot);
  for (const std::string& database : databases)
    text += " --database" + (database.starts_with('-') ? "=" : std::string(" ")) + shell_word(database);
  return text;
}

std::string undo_command(const RestoreServerCommand& command, const RestorePlan& plan,
                         const SafetySnapshot& safety) {
  std::vector<std::string> names;
  for (const Manifest::Database& database : saved_of(plan, safety)) names.push_back(database.name);
  return restore_line(command, safety.name, names);
}

// The command for the same restore. It has the snapshot's name, since a word may mean another one by then.
std::string again_command(const RestoreServerCommand& command, const std::string& snapshot) {
  return restore_line(command, snapshot, command.options.databases) +
         (command.options.safety_snapshot ? "" : " --no-safety-snapshot");
}

// Adds the command to a hint such as "..., then run this again".
std::string hint_with_again(const std::string& hint, const std::string& again) {
  if (hint.ends_with("again")) return hint + ": " + again;
  return hint + (hint.empty() ? "" : "; ") + "to run it again: " + again;
}

// What became of a database of the plan: "restored", "created", "failed", "untouched" or "unknown".
std::string_view outcome_of(const ServerRestore& restore, std::size_t index) {
  const RestoreTalk& talk = restore.talk;
  if (index < talk.restored.size()) return talk.restored[index].created == 1 ? "created" : "restored";
  if (talk.lost) return "unknown";
  if (talk.failed && talk.failed->database == index) return "failed";
  return "untouched";
}

// The first safety snapshot holds what was there before the restore. Each further try adds one.
void add_safety(const RestoreServerCommand& command, const ServerRestore& restore,
                nlohmann::ordered_json& out) {
  out["safety_snapshot"] = nullptr;
  out["safety_snapshots"] = nlohmann::ordered_json::array();
  for (const SafetySnapshot& safety : restore.safety) {
    nlohmann::ordered_json entry{{"path", safety.path},
                                 {"verified", verified_text(safety.manifest.verified)}};
    if (can_be_put_back(restore.plan, safety)) entry["undo"] = undo_command(command, restore.plan, safety);
    out["safety_snapshots"].push_back(std::move(entry));
  }
  if (restore.safety.empty()) return;
  const nlohmann::ordered_json& first = out["safety_snapshots"].front();
  out["safety_snapshot"] = first["path"];
  out["safety_verified"] = first["verified"];
  if (first.contains("undo")) out["undo"] = first["undo"];
}

nlohmann::ordered_json to_json(const RestoreServerCommand& command, const ServerRestore& restore) {
  nlohmann::ordered_json out = plan_json(restore.plan);
  out["exit_code"] = exit_code(restore);
  out["dry_run"] = restore.state == RestoreState::kPlanned;
  if (restore.state == RestoreState::kPlanned) return out;
  for (std::size_t i = 0; i < restore.plan.databases.size(); ++i) {
    nlohmann::ordered_json& entry = out["databases"][i];
    entry["outcome"] = outcome_of(restore, i);
    if (i < restore.talk.ready.size()) entry["differing_pages"] = restore.talk.ready[i].differing;
    if (i >= restore.talk.restored.size()) continue;
    const Restored& restored = restore.talk.restored[i];
    entry["pages_written"] = restored.pages_written;
    entry["lock_ms"] = static_cast<double>(restored.lock_us) / 1e3;
    entry["wal_bytes_before"] = restored.wal_bytes_before;
    entry["wal_bytes_after"] = restored.wal_bytes_after;
  }
  const RestoreTalk& talk = restore.talk;
  out["wire"] = {{"received_bytes", talk.wire.received_bytes}, {"sent_bytes", talk.wire.sent_bytes}};
  out["agent"] = {{"cpu_s", static_cast<double>(talk.done.cpu_us) / 1e6},
                  {"peak_rss_bytes", talk.done.max_rss_bytes}};
  add_safety(command, restore, out);
  out["written_between"] = restore.written_between;
  out["advice"] = advice_after(restore.plan);
  if (talk.failed)
    out["error"] = {{"message", safe_text(talk.failed->problem.message)},
                    {"hint", hint_with_again(safe_text(talk.failed->problem.hint),
                                             again_command(command, restore.plan.snapshot))}};
  // The hint of a broken link says that nothing was changed. Here that is unknown, so the hint is replaced.
  if (talk.lost)
    out["error"] = {{"message", talk.lost->message()},
                    {"hint", "look with litepull diff " + shell_path(command.common.config) + " " +
                                 restore.plan.snapshot +
                                 " live, or run it again: " + again_command(command, restore.plan.snapshot)}};
  return out;
}

void print_databases(const ServerRestore& restore) {
  std::size_t width = 8;
  for (const auto& database : restore.plan.databases)
    width = std::max(width, printable(database.entry.name).size());
  fmt::print("  {:{}}  {:>10}  {:>13}  {:>9}  {}\n", "database", width, "size", "pages written", "locked",
             "outcome");
  for (std::size_t i = 0; i < restore.plan.databases.size(); ++i) {
    const Manifest::Database& entry = restore.plan.databases[i].entry;
    const bool done = i < restore.talk.restored.size();
    fmt::print(
        "  {:{}}  {:>10}  {:>13}  {:>9}  {}\n", printable(entry.name), width, format_bytes(entry.bytes),
        done ? std::to_string(restore.talk.restored[i].pages_written) : "",
        done ? fmt::format("{:.1f} ms", static_cast<double>(restore.talk.restored[i].lock_us) / 1e3) : "",
        outcome_of(restore, i));
  }
}

// What the safety snapshot at `index` holds, and what its undo command does.
std::pair<const char*, const char*> safety_words(const ServerRestore& restore, std::size_t index) {
  const bool alone = restore.safety.size() == 1 && restore.plan.open.empty();
  if (alone) return {"what was there", "to undo this"};
  if (index == 0) return {"what was there before the first try", "to undo all tries"};
  return {"what was there before a later try", "to go back to that"};
}

void print_safety(const RestoreServerCommand& command, const ServerRestore& restore) {
  for (std::size_t i = 0; i < restore.safety.size(); ++i) {
    const auto [what, undo] = safety_words(restore, i);
    fmt::print("  {}: {}\n", what, restore.safety[i].path);
    if (can_be_put_back(restore.plan, restore.safety[i]))
      fmt::print("  {}: {}\n", undo, undo_command(command, restore.plan, restore.safety[i]));
    else
      fmt::print("  it is kept, but it did not pass its check; look into it with litepull open\n");
  }
  for (const SafetySnapshot& safety : restore.plan.open)
    if (safety.manifest.before_restore->snapshot != restore.plan.snapshot)
      fmt::print("  what was there before the restore of {}, which did not end: {}\n",
                 printable(safety.manifest.before_restore->snapshot), safety.path);
  if (restore.safety.empty())
    fmt::print("  no safety snapshot: this cannot be undone\n");
  else if (!restore.seen)
    fmt::print("  no safety snapshot of this try\n");
  for (const std::string& name : restore.written_between)
    fmt::print("  {}: the app wrote to it after that; what it wrote then is lost\n", printable(name));
}

void print_result(const RestoreServerCommand& command, const ServerRestore& restore) {
  const std::string_view how = restore.state == RestoreState::kRestored ? "restored"
                               : restore.state == RestoreState::kPartly
                                   ? "PARTLY restored"
                                   : "NOT KNOWN whether all was restored:";
  fmt::print("{}: {} {} onto {}\n", restore.plan.app, how, restore.plan.snapshot, restore.plan.where);
  print_databases(restore);
  print_safety(command, restore);
  fmt::print("Next:\n");
  for (const std::string& advice : advice_after(restore.plan)) fmt::print("  {}\n", advice);
}

// Reports what went wrong once the server may have changed the first database.
void tell_trouble(const RestoreServerCommand& command, const ServerRestore& restore, spdlog::logger& log) {
  const RestoreTalk& talk = restore.talk;
  if (talk.failed)
    log.error(
        "{}: {}: {}; the databases before it are restored, and it and those after it are as they were\n  {}",
        restore.plan.app, printable(restore.plan.databases[talk.failed->database].entry.name),
        safe_text(talk.failed->problem.message),
        hint_with_again(safe_text(talk.failed->problem.hint), again_command(command, restore.plan.snapshot)));
  if (talk.lost)
    log.error(
        "{}: {}, after the server was told to go on: each of the other databases is either as it was or "
        "restored, never in between\n"
        "  look with litepull diff {} {} live, or run the same restore again: it changes only what differs\n"
        "  to run it again: {}",
        restore.plan.app, talk.lost->message(), shell_path(command.common.config), restore.plan.snapshot,
        again_command(command, restore.plan.snapshot));
}

void show_plan(const RestorePlan& plan, std::FILE* out) {
  for (const std::string& line : plan_lines(plan)) fmt::print(out, "{}\n", line);
  std::fflush(out);
}

void print(const RestoreServerCommand& command, const ServerRestore& restored) {
  if (restored.state == RestoreState::kPlanned)
    show_plan(restored.plan, stdout);
  else
    print_result(command, restored);
}

ServerRestore restore_now(const RestoreServerCommand& command, const AppContext& run, std::string& again) {
  ServerRestoreOptions options = command.options;
  options.agent_path = find_agent(options.agent_path);
  Progress progress(run.board, run.config.app_name);
  const auto ask = [&](const RestorePlan& plan) {
    run.board.remove(run.config.app_name);
    show_plan(plan, command.common.json ? stderr : stdout);
    confirm(command, plan, run.cancel);
    again = again_command(command, plan.snapshot);
  };
  return restore_to_server(run.config, options, ask, run.cancel, progress, run.log);
}

// Once a person has confirmed the restore, an error says how to run it again.
ServerRestore restore(const RestoreServerCommand& command, const AppContext& run) {
  std::string again;
  std::optional<ServerRestore> restored;
  const auto error = error_of([&] { restored = restore_now(command, run, again); });
  if (!error) return *std::move(restored);
  if (again.empty()) throw Error(*error);
  throw Error(error->kind(), error->message(), hint_with_again(error->hint(), again));
}

}  // namespace

int restore_server_command(const RestoreServerCommand& command) {
  return run_app(command.common, OnSignal::kCancel, [&](const AppContext& run) {
    for (const std::string& warning : run.config.warnings) run.log.warn("{}", warning);
    const ServerRestore restored = restore(command, run);
    tell_trouble(command, restored, run.log);
    if (!command.common.json) print(command, restored);
    return AppResult{to_json(command, restored), exit_code(restored)};
  });
}

}  // namespace litepull
