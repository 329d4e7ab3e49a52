#include "client/restore/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/base/progress.h"
#include "client/store/file_check.h"
#include "client/store/manifest_json.h"
#include "client/store/select_snapshot.h"
#include "common/error.h"
#include "common/glob.h"

namespace litepull {
namespace {

std::string age_text(std::int64_t age_s) {
  if (is_from_future(0, age_s)) return "from the future, by this machine's clock";
  if (age_s < 3600) return fmt::format("{} min old", std::max<std::int64_t>(age_s, 0) / 60);
  if (age_s < 2 * 86400) return fmt::format("{} h old", age_s / 3600);
  return fmt::format("{} days old", age_s / 86400);
}

std::uint64_t bytes_of(const Target& target) {
  return std::uint64_t{target.page_size} * target.page_count;
}

std::string holders_text(const std::vector<Holder>& holders) {
  if (holders.empty()) return "no process that can be seen has it open";
  std::string text = holders.size() >= kMaxHolders
                         ? fmt::format("open in {} processes or more: ", kMaxHolders)
                     : holders.size() == 1 ? "open in 1 process: "
                                           : fmt::format("open in {} processes: ", holders.size());
  constexpr std::size_t kNamed = 5;
  for (std::size_t i = 0; i < std::min(holders.size(), kNamed); ++i)
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", printable(holders[i].command), holders[i].pid);
  return text + (holders.size() > kNamed ? ", ..." : "");
}

std::string there_text(const Target& target) {
  switch (target.state) {
    case TargetState::kMissing:
      return "missing on the server: it will be made";
    case TargetState::kRefused:
      return "CANNOT BE RESTORED: " + safe_text(target.problem.message);
    case TargetState::kThere:
      break;
  }
  return fmt::format("replaces {}, {} mode, user {}, mode {:04o}; {}", format_bytes(bytes_of(target)),
                     target.journal_mode == JournalMode::kWal ? "WAL" : "rollback", target.uid, target.mode,
                     holders_text(target.holders));
}

std::string open_text(const RestorePlan& plan, const SafetySnapshot& safety) {
  const std::string& snapshot = safety.manifest.before_restore->snapshot;
  return (snapshot == plan.snapshot ? "goes on with an earlier try that did not end"
                                    : "an earlier restore, of " + printable(snapshot) + ", did not end") +
         "; what was there before it: " + safety.name;
}

std::string_view state_text(TargetState state) {
  switch (state) {
    case TargetState::kThere:
      return "there";
    case TargetState::kMissing:
      return "missing";
    case TargetState::kRefused:
      break;
  }
  return "refused";
}

nlohmann::ordered_json to_json(const RestorePlan::Database& database) {
  nlohmann::ordered_json out;
  const Target& target = database.target;
  out["name"] = printable(database.entry.name);
  out["bytes"] = database.entry.bytes;
  out["xxh128"] = database.entry.xxh128;
  out["unchecked"] = database.entry.unchecked;
  out["on_server"] = state_text(target.state);
  if (target.state == TargetState::kRefused)
    out["problem"] = {{"message", safe_text(target.problem.message)},
                      {"hint", safe_text(target.problem.hint)}};
  if (target.state == TargetState::kThere) {
    out["server_bytes"] = bytes_of(target);
    out["journal_mode"] = target.journal_mode == JournalMode::kWal ? "wal" : "rollback";
    out["uid"] = target.uid;
    out["mode"] = fmt::format("{:04o}", target.mode);
    out["open_in"] = nlohmann::ordered_json::array();
    for (const Holder& holder : target.holders)
      out["open_in"].push_back({{"pid", holder.pid}, {"command", printable(holder.command)}});
  }
  if (database.differing) out["differing_pages"] = *database.differing;
  return out;
}

}  // namespace

std::string destination_of(const Config& config) {
  if (config.transport == Transport::kLocal) return printable(config.remote_backup_dir) + " on this machine";
  const std::string user = config.server_user.empty() ? "" : config.server_user + "@";
  return printable(user + config.server_host + ":" + config.remote_backup_dir);
}

std::vector<Manifest::Database> choose_databases(const Snapshot& snapshot,
                                                 const std::vector<std::string>& names) {
  if (!snapshot.manifest)
    throw Error(
        ErrorKind::kRefused,
        snapshot.name + " was made by the old script, so nothing shows that it is complete, or of one moment",
        "take its databases with litepull restore CONFIG SNAPSHOT --to DIR, and look at them first");
  const std::vector<Manifest::Database>& all = snapshot.manifest->databases;
  std::string known;
  std::vector<std::string> there, meant;
  for (const Manifest::Database& database : all) {
    known += (known.empty() ? "" : ", ") + printable(database.name);
    there.push_back(database.name);
  }
  for (const std::string& name : names) {
    meant.push_back(database_called(there, name));
    if (meant.back().empty())
      throw Error(ErrorKind::kConfiguration, snapshot.name + " has no database " + printable(name),
                  "it has " + known);
  }
  std::vector<Manifest::Database> chosen;
  for (const Manifest::Database& database : all)
    if (names.empty() || std::find(meant.begin(), meant.end(), database.name) != meant.end())
      chosen.push_back(database);
  // Databases that were not chosen do not matter here. One that was missing must not prevent the restore of
  // the others.
  if (verified_together(chosen) != Verified::kOk || (names.empty() && snapshot.verified != Verified::kOk))
    throw Error(
        ErrorKind::kRefused,
        (names.empty() ? snapshot.name : "what is wanted of " + snapshot.name) +
            " is not known to be good: " +
            (failed_unchecked(*snapshot.manifest) ? "it could not be checked" : "it did not pass a check"),
        "litepull verify CONFIG SNAPSHOT checks it; latest-verified is the newest that passed");
  return chosen;
}

std::vector<std::string> plan_lines(const RestorePlan& plan) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}: restore {}{} ({}, verified {})", plan.app, plan.snapshot,
                              plan.label.empty() ? "" : " \"" + printable(plan.label) + "\"",
                              age_text(plan.age_s),
                              plan.verified_at.empty() ? "ok" : local_time(plan.verified_at)));
  lines.push_back("  onto the live databases in " + plan.where);
  if (plan.source) {
    lines.push_back("  NOT FROM THERE: the snapshot came from " + plan.sources.theirs);
    lines.push_back("                  and this replaces      " + plan.sources.ours);
  }
  for (const RestorePlan::Database& database : plan.databases) {
    lines.push_back(fmt::format(
        "  {}  {}{}", printable(database.entry.name), format_bytes(database.entry.bytes),
        database.differing ? fmt::format(", {} of {} pages differ", *database.differing, database.entry.pages)
                           : ""));
    lines.push_back("    " + there_text(database.target));
    if (!database.entry.unchecked.empty()) lines.push_back("    " + unchecked_text(database.entry.unchecked));
  }
  for (const SafetySnapshot& safety : plan.open) lines.push_back("  " + open_text(plan, safety));
  return lines;
}

nlohmann::ordered_json plan_json(const RestorePlan& plan) {
  nlohmann::ordered_json out;
  out["app"] = plan.app;
  out["exit_code"] = 0;
  out["snapshot"] = plan.snapshot;
  out["destination"] = plan.where;
  out["other_source"] = plan.source ? server_json(*plan.source) : nlohmann::ordered_json();
  out["databases"] = nlohmann::ordered_json::array();
  for (const RestorePlan::Database& database : plan.databases) out["databases"].push_back(to_json(database));
  out["unfinished"] = nlohmann::ordered_json::array();
  for (const SafetySnapshot& safety : plan.open)
    out["unfinished"].push_back({{"safety_snapshot", safety.path},
                                 {"snapshot", printable(safety.manifest.before_restore->snapshot)}});
  return out;
}

void require_possible(const RestorePlan& plan) {
  if (plan.source && !plan.from_other_server)
    throw Error(ErrorKind::kConfiguration,
                plan.snapshot + " came from " + plan.sources.theirs + ", and this would replace " +
                    plan.sources.ours + "; nothing was changed on the server",
                "if it is that data you want there, add --from-other-server; `litepull list` says where each "
                "snapshot came from");
  for (const RestorePlan::Database& database : plan.databases) {
    const Target& target = database.target;
    if (target.state == TargetState::kRefused)
      throw Error(ErrorKind::kRefused,
                  printable(database.entry.name) + ": " + safe_text(target.problem.message) +
                      "; nothing was changed on the server",
                  safe_text(target.problem.hint));
  }
}

void require_same_places(const RestorePlan& plan, const std::vector<Target>& now) {
  for (std::size_t i = 0; i < plan.databases.size(); ++i) {
    const bool was_there = plan.databases[i].target.state == TargetState::kThere;
    if (now[i].state == TargetState::kRefused || (now[i].state == TargetState::kThere) == was_there) continue;
    throw Error(ErrorKind::kRefused,
                printable(plan.databases[i].entry.name) +
                    (was_there ? " has gone from the server" : " has appeared on the server") +
                    " since the plan was made; nothing was changed on the server",
                "look at what did that, then run this again");
  }
}

Config config_for_safety(const Config& config, const RestorePlan& plan) {
  Config safety = config;
  for (const RestorePlan::Database& database : plan.databases) {
    const std::string& name = database.entry.name;
    if (!glob_matches_any(safety.databases, name)) safety.databases.push_back(glob_for(name));
    std::erase_if(safety.exclude, [&](const std::string& glob) { return glob_matches(glob, name); });
  }
  return safety;
}

std::vector<std::string> advice_after(const RestorePlan& plan) {
  std::vector<std::string> advice{
      "restart the app: its processes and caches still remember the database that was replaced"};
  for (const RestorePlan::Database& database : plan.databases)
    for (const Manifest::Table& table : database.entry.tables)
      if (table.name == "solid_queue_jobs" && table.rows > 0)
        advice.push_back(
            fmt::format("{} is a job queue, and its {} jobs are back: those that have run since would run "
                        "again, so look through them before workers start",
                        printable(database.entry.name), table.rows));
  return advice;
}

}  // namespace litepull
