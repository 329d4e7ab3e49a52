#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/jobs.h"
#include "client/base/log.h"
#include "client/base/output.h"
#include "client/base/progress.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/config/projects.h"
#include "client/link/agent_file.h"
#include "client/nightly/run_report.h"
#include "client/preflight/unmatched_json.h"
#include "client/pull/backup.h"
#include "client/store/manifest_json.h"
#include "client/store/select_snapshot.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

struct BackupCommand {
  ManyAppsOptions common;
  std::string log_file;              // empty: none
  BackupOptions options;             // all but `verify`
  std::optional<VerifyMode> verify;  // overrides the configuration
  int parallel = 2;
  int deadline_s = 0;  // 0: none
};

// What became of one configuration.
struct BackupOutcome {
  std::string name;                // the app's, or the file's when that could not be read
  std::unique_ptr<Error> refusal;  // known before anything is pulled
  std::unique_ptr<BackupResult> result;
  std::unique_ptr<Error> error;
  int exit_code = 1;
};

// What is wrong with a snapshot that was published.
std::string problem_of(const BackupResult& result) {
  std::vector<std::string> bad;
  for (const Manifest::Database& database : result.manifest.databases)
    if (database.error)
      bad.push_back(printable(database.name) + ": not backed up: " + database.error->message);
    else if (only_not_checked(database.problems))
      bad.push_back(printable(database.name) + ": " + safe_text(database.problems.front()));
    else if (database.verified == Verified::kFailed)
      bad.push_back(printable(database.name) + ": damaged");
    else if (database.verified == Verified::kPending)
      bad.push_back(printable(database.name) + ": its check was not finished");
    else if (result.strict && !database.unchecked.empty())
      bad.push_back(printable(database.name) + ": " + unchecked_text(database.unchecked));
  if (bad.empty()) return result.note;
  return bad.size() == 1 ? bad[0] : fmt::format("{} (and {} more)", bad[0], bad.size() - 1);
}

void settle(BackupOutcome& outcome, spdlog::logger& log) {
  outcome.exit_code = outcome.error ? exit_code_of(outcome.error->kind()) : exit_code(*outcome.result);
  if (outcome.error) log.error("{}: {}", outcome.name, describe(*outcome.error));
}

std::string kept_text(const BackupOutcome& outcome, std::uint64_t kept_bytes, const std::string& file) {
  if (outcome.result) {
    const Manifest& manifest = outcome.result->manifest;
    if (manifest.verified != Verified::kPending) return manifest.snapshot + " is published";
    return fmt::format("{} is published, but not checked; to check it: litepull verify {} {}",
                       manifest.snapshot, shell_path(file), manifest.snapshot);
  }
  if (kept_bytes == 0) return "nothing was published";
  return fmt::format("nothing was published; {} are kept, and the next backup resumes from there",
                     format_bytes(kept_bytes));
}

// Before publishing, whatever broke first: a local agent gets the signal, too. Afterwards a failure stays
// one.
bool was_interrupted(const BackupOutcome& outcome, const Cancel& cancel) {
  if (!cancel.interrupted()) return false;
  return !outcome.result ||
         (outcome.result->interrupted && outcome.result->manifest.verified != Verified::kFailed);
}

void settle_interrupted(BackupOutcome& outcome, std::uint64_t kept_bytes, const std::string& file,
                        Board& board, spdlog::logger& log) {
  outcome.exit_code = kExitInterrupted;
  const std::string text = "interrupted; " + kept_text(outcome, kept_bytes, file);
  if (!outcome.result) outcome.error = std::make_unique<Error>(ErrorKind::kInterrupted, text);
  log.info("{}: {}", outcome.name, text);
  board.say("litepull: " + outcome.name + ": " + text);
}

RunEnd end_of(const BackupOutcome& outcome) {
  if (outcome.error) return {outcome.exit_code, outcome.error->message(), outcome.error->hint(), ""};
  const std::string problem = outcome.exit_code == 0 ? "" : problem_of(*outcome.result);
  return {outcome.exit_code, problem, "", outcome.result->manifest.snapshot};
}

// What the jobs of all apps share.
struct BackupJobs {
  const BackupCommand& command;
  const Cancel& cancel;
  Console& console;
};

void back_up_locked(const BackupJobs& jobs, const Config& config, RunReport& report, AppLog& log,
                    BackupOutcome& outcome) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kCreate);
  const AppLock lock = store.lock();
  if (jobs.cancel.interrupted()) jobs.cancel.throw_if_requested();
  report.begin(store, lock);
  outcome.error = error_of([&] {
    jobs.cancel.throw_if_requested();  // an app that never got its turn is reported as a failure
    BackupOptions options = jobs.command.options;
    options.agent_path = find_agent(jobs.command.options.agent_path);
    options.verify = jobs.command.verify.value_or(config.verify);
    Progress progress(jobs.console.board, config.app_name);
    outcome.result = std::make_unique<BackupResult>(
        run_backup({store, lock, config, jobs.cancel, progress, log.logger()}, options));
  });
  if (outcome.error) outcome.error = std::make_unique<Error>(with_config(*outcome.error, config.file));
  if (was_interrupted(outcome, jobs.cancel))
    settle_interrupted(outcome, store.partial_bytes(lock), config.file, jobs.console.board, log.logger());
  else
    settle(outcome, log.logger());
  report.end(store, lock, end_of(outcome));
}

// Reports the end of the run to PING_URL and NOTIFY_COMMAND, however it ends.
void back_up_app(const BackupJobs& jobs, const Config& config, BackupOutcome& outcome) {
  AppLog log(*jobs.console.log);
  for (const std::string& warning : config.warnings) log.logger().warn("{}", warning);
  RunReport report(config, log);
  auto error = error_of([&] {
    if (outcome.refusal) throw Error(*outcome.refusal);
    back_up_locked(jobs, config, report, log, outcome);
  });
  if (error && at_the_end(*error, jobs.cancel).kind() == ErrorKind::kInterrupted) {
    settle_interrupted(outcome, 0, config.file, jobs.console.board, log.logger());
  } else if (error) {
    outcome.error = std::move(error);
    settle(outcome, log.logger());
  }
  report.tell(end_of(outcome));
}

void back_up(const BackupJobs& jobs, const std::string& file, BackupOutcome& outcome) {
  outcome.name = printable(file);
  std::optional<Config> config;
  outcome.error = error_of([&] {
    config = load_config(file, jobs.command.common.environment);
    outcome.name = config->app_name;
  });
  if (config) return back_up_app(jobs, *config, outcome);
  outcome.exit_code = exit_code_of(outcome.error->kind());
  jobs.console.log->error("{}", describe(*outcome.error));  // which names the file
}

// One of the two is a copy whose APP_NAME was not changed. Only a person knows which, so both are refused.
void refuse_together(const Config& a, const Config& b, BackupOutcome& of_a, BackupOutcome& of_b,
                     spdlog::logger& log) {
  const SharedDirectory shared = shared_directory(a, b);
  if (shared.text.empty()) return;
  if (!shared.is_error) return log.warn("{}: {}", a.app_name, shared.text);
  for (BackupOutcome* outcome : {&of_a, &of_b})
    outcome->refusal =
        std::make_unique<Error>(ErrorKind::kConfiguration, shared.text + "; nothing was pulled",
                                "give each app an APP_NAME of its own");
}

// An error in a configuration is reported when its turn comes.
void compare_configs(const ManyAppsOptions& common, std::vector<BackupOutcome>& outcomes,
                     spdlog::logger& log) {
  if (outcomes.size() < 2) return;
  std::vector<std::optional<Config>> configs(outcomes.size());
  for (std::size_t i = 0; i < configs.size(); ++i) {
    error_of([&] { configs[i] = load_config(common.configs[i], common.environment); });
    for (std::size_t j = 0; j < i; ++j)
      if (configs[i] && configs[j]) refuse_together(*configs[j], *configs[i], outcomes[j], outcomes[i], log);
  }
}

nlohmann::ordered_json to_json(const BackupOutcome& outcome) {
  if (outcome.error) {
    auto out = error_json(outcome.name, outcome.exit_code, *outcome.error);
    out["snapshot"] = nullptr;
    return out;
  }
  nlohmann::ordered_json out;
  out["app"] = outcome.name;
  out["exit_code"] = outcome.exit_code;
  const Manifest& manifest = outcome.result->manifest;
  out["snapshot"] = outcome.result->path;
  out["label"] = manifest.label;
  out["duration_s"] = manifest.duration_s;
  out["set_consistency"] = manifest.set_consistency;
  out["skew_ms"] = manifest.skew_ms;
  out["set_note"] = manifest.set_note;
  out["lock_hold_ms"] = manifest.lock_hold_ms;
  out["verified"] = verified_text(manifest.verified);
  out["wire"] = {{"received_bytes", manifest.wire.received_bytes}, {"sent_bytes", manifest.wire.sent_bytes}};
  out["agent"] = {{"cpu_s", manifest.agent.cpu_s}, {"peak_rss_bytes", manifest.agent.peak_rss_bytes}};
  out["databases"] = nlohmann::ordered_json::array();
  for (const Manifest::Database& database : manifest.databases)
    out["databases"].push_back(database_json(database));
  out["moved_from"] =
      manifest.moved_from ? server_json(*manifest.moved_from) : nlohmann::ordered_json(nullptr);
  out["unmatched"] = unmatched_json(outcome.result->unmatched);
  out["removed"] = outcome.result->removed;
  if (!outcome.result->note.empty()) out["note"] = outcome.result->note;
  return out;
}

std::uint64_t total_bytes(const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const Manifest::Database& database : manifest.databases) total += database.bytes;
  return total;
}

bool is_unchanged(const Manifest::Database& database) {
  return !database.error && database.changed_pages == 0;
}

std::string changed_text(const Manifest::Database& database) {
  if (database.error) return "";
  if (is_unchanged(database)) return "unchanged";
  if (database.base.empty() && database.changed_pages >= database.pages) return "all";
  return format_bytes(std::uint64_t{database.changed_pages} * database.page_size);
}

// "2 databases, 1.2 GB, 1 unchanged, 5.1 MB received"
std::string volume_text(const Manifest& manifest) {
  const auto& databases = manifest.databases;
  const auto same = std::count_if(databases.begin(), databases.end(), is_unchanged);
  std::string text =
      fmt::format("{} {}, {}", databases.size(), databases.size() == 1 ? "database" : "databases",
                  format_bytes(total_bytes(manifest)));
  if (same > 0 && same == std::ssize(databases))
    text += ", unchanged";
  else if (same > 0)
    text += fmt::format(", {} unchanged", same);
  return text + fmt::format(", {} received", format_bytes(manifest.wire.received_bytes));
}

std::string state_of(const Manifest::Database& database) {
  return database.error                           ? "MISSING"
         : only_not_checked(database.problems)    ? "NOT CHECKED"
         : database.verified == Verified::kFailed ? "DAMAGED"
         : !database.unchecked.empty()            ? "ok as far as checked"
                                                  : std::string(verified_text(database.verified));
}

// One line, for cron's mail and below the table.
std::string summary(const BackupOutcome& outcome) {
  if (outcome.error && outcome.exit_code == kExitInterrupted) return outcome.name + ": interrupted";
  if (outcome.error) return outcome.name + ": FAILED, nothing was published";
  const Manifest& manifest = outcome.result->manifest;
  const auto bad = std::count_if(
      manifest.databases.begin(), manifest.databases.end(),
      [](const auto& database) { return database.error || database.verified == Verified::kFailed; });
  const bool in_part = std::any_of(manifest.databases.begin(), manifest.databases.end(),
                                   [](const auto& database) { return !database.unchecked.empty(); });
  std::string line =
      fmt::format("{}: {}  {} in {}, verified: {}{}", outcome.name, manifest.snapshot, volume_text(manifest),
                  format_duration(manifest.duration_s), verified_text(manifest.verified),
                  manifest.verified == Verified::kOk && in_part ? " as far as it could be checked" : "");
  if (bad > 0) line += fmt::format(", {} BAD", bad);
  if (!outcome.result->removed.empty())
    line += fmt::format(", {} old removed", outcome.result->removed.size());
  if (!outcome.result->note.empty()) line += "; " + outcome.result->note;
  return line;
}

Tone tone_of(const Manifest::Database& database) {
  if (database.error || database.verified == Verified::kFailed) return Tone::kBad;
  return database.verified == Verified::kOk && database.unchecked.empty() ? Tone::kGood : Tone::kWarning;
}

void add_rows(Table& table, const std::string& app, const BackupResult& result) {
  for (const Manifest::Database& database : result.manifest.databases) {
    const auto received = result.received_bytes.find(database.name);
    table.add({{app},
               {printable(database.name)},
               {database.error ? "" : format_bytes(database.bytes)},
               {changed_text(database)},
               {received == result.received_bytes.end() ? "" : format_bytes(received->second)},
               {state_of(database), tone_of(database)}});
  }
}

// One table for all apps: what happened to each database.
void print_table(const std::vector<BackupOutcome>& outcomes) {
  using enum Table::Align;
  Table table(
      {{"app"}, {"database"}, {"size", kRight}, {"changed", kRight}, {"received", kRight}, {"verified"}});
  std::size_t databases = 0;
  std::uint64_t bytes = 0, received_bytes = 0;
  for (const BackupOutcome& outcome : outcomes) {
    if (!outcome.result) continue;
    const Manifest& manifest = outcome.result->manifest;
    add_rows(table, outcomes.size() > 1 ? outcome.name : "", *outcome.result);
    databases += manifest.databases.size();
    bytes += total_bytes(manifest);
    received_bytes += manifest.wire.received_bytes;
  }
  if (databases > 1)
    table.add({{outcomes.size() > 1 ? "total" : ""},
               {outcomes.size() > 1 ? "" : "total"},
               {format_bytes(bytes)},
               {},
               {format_bytes(received_bytes)},
               {}});
  if (databases > 0) fmt::print("{}", table.text(stdout));
  if (outcomes.size() == 1 && databases > 0) fmt::print("{}\n", printable(outcomes[0].result->path));
}

void print(const std::vector<BackupOutcome>& outcomes, const CommonOptions& options) {
  if (options.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const BackupOutcome& outcome : outcomes) all.push_back(to_json(outcome));
    print_json(all);
    return;
  }
  if (options.quiet) return;
  if (isatty(STDOUT_FILENO) != 0) print_table(outcomes);
  for (const BackupOutcome& outcome : outcomes)
    if (outcome.result || outcome.exit_code != kExitInterrupted) fmt::print("{}\n", summary(outcome));
}

int backup_command(const BackupCommand& command) {
  const ManyAppsOptions& common = command.common;
  Console console(common.quiet, command.log_file);
  spdlog::logger& log = *console.log;
  Cancel cancel;
  if (command.deadline_s > 0) cancel.set_deadline(command.deadline_s);
  std::vector<BackupOutcome> outcomes(common.configs.size());
  compare_configs(common, outcomes, log);
  const BackupJobs jobs{command, cancel, console};
  run_jobs(outcomes.size(), command.parallel, cancel,
           [&](std::size_t i) { back_up(jobs, common.configs[i], outcomes[i]); });

  std::vector<int> codes;
  for (const BackupOutcome& outcome : outcomes) {
    codes.push_back(outcome.exit_code);
    log.info("{}", summary(outcome));
  }
  print(outcomes, common);
  return worst_exit_code(codes);
}

}  // namespace

void add_backup(CommandLine& line) {
  auto backup = line.make<BackupCommand>();
  backup->options.agent_path = line.agent_path();
  Options command = line.add("backup", "Pull, publish, verify and prune", backup, backup_command);
  add_configs(command, backup->common);
  command
      .add(
          "--verify", [backup](const std::string& mode) { backup->verify = parse_verify_mode(mode); },
          "full, quick, none, or strict: like full, but fails if a part cannot be checked (default VERIFY)")
      .check([](const std::string& mode) {
        return parse_verify_mode(mode) ? "" : std::string("must be ") + kVerifyModes;
      })
      .type_name("MODE");
  command.flag("--full", backup->options.full, "Pull every page, even if this machine has it already");
  command.add("--label", backup->options.label, "A label for the snapshot, e.g. pre-deploy")
      .check([](const std::string& label) {
        if (is_snapshot_word(label)) return "cannot be \"" + label + "\", which means a snapshot already";
        return std::string(is_label(label) ? "" : "must be printable and at most 64 bytes");
      });
  command.flag(
      "--moved", [backup] { backup->options.when_foreign = WhenForeign::kMoved; },
      "For one run: the app has moved from the server that its newest snapshot came from");
  command.add("-j,--jobs", backup->parallel, "Back up this many apps at once (default 2)").range(1, 64);
  command
      .duration("--deadline", backup->deadline_s, 1, 604800,
                "Stop cleanly after this time, e.g. 15m (default none); a plain number is seconds")
      .type_name("TIME");
  add_quiet(command, backup->common, "warnings and errors");
  add_json(command, backup->common);
  command.add("--log-file", backup->log_file, "Append a log to this file");
  command.footer("Example:\n  litepull backup config/projects/billing.env");
}

}  // namespace litepull
