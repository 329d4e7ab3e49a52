#include "client/commands/verify_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/base/progress.h"
#include "client/base/terminal.h"
#include "client/store/file_check.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

std::string_view result_text(VerifyOutcome::Result result) {
  switch (result) {
    case VerifyOutcome::Result::kGood:
      return "ok";
    case VerifyOutcome::Result::kDamaged:
      return "damaged";
    case VerifyOutcome::Result::kUnchecked:
      return "not checked";
    case VerifyOutcome::Result::kGone:
      break;
  }
  return "gone";
}

std::string_view state_text(DatabaseReport::State state) {
  switch (state) {
    case DatabaseReport::State::kGood:
      return "ok";
    case DatabaseReport::State::kDamaged:
      return "damaged";
    case DatabaseReport::State::kMissing:
      return "missing";
    case DatabaseReport::State::kUnchecked:
      break;
  }
  return "not checked";
}

std::string_view hashes_text(FileComparison::Hashes hashes) {
  switch (hashes) {
    case FileComparison::Hashes::kUsable:
      return "usable";
    case FileComparison::Hashes::kDamaged:
      return "damaged";
    case FileComparison::Hashes::kOtherKey:
      return "other key";
    case FileComparison::Hashes::kNone:
      break;
  }
  return "none";
}

nlohmann::ordered_json database_json(const DatabaseReport& database) {
  nlohmann::ordered_json out{{"name", database.name},
                             {"result", state_text(database.state)},
                             {"bytes", database.bytes},
                             {"problems", database.problems},
                             {"unchecked", database.unchecked},
                             {"damaged_pages", database.damaged_pages},
                             {"pages", nlohmann::ordered_json::array()},
                             {"page_hashes", hashes_text(database.hashes)},
                             {"foreign_key_violations", database.foreign_key_violations},
                             {"foreign_keys_unchecked", database.foreign_keys_unchecked}};
  for (const DatabaseReport::Page& page : database.pages)
    out["pages"].push_back({{"page", page.page}, {"belongs_to", page.owner}});
  return out;
}

nlohmann::ordered_json run_json(const VerifyOutcome& outcome, const TrialOptions& trial) {
  nlohmann::ordered_json out{{"command", trial.command}, {"status", nullptr}, {"seconds", nullptr}};
  if (!outcome.run) {
    out["problem"] = outcome.run_trouble;
    return out;
  }
  out["status"] = outcome.run->status;
  out["seconds"] = outcome.run->seconds;
  out["timed_out"] = outcome.run->timed_out;
  out["last_lines"] = outcome.run->last_lines;
  return out;
}

nlohmann::ordered_json outcome_json(const VerifyOutcome& outcome, const TrialOptions& trial) {
  nlohmann::ordered_json out{{"name", outcome.name},
                             {"path", outcome.path},
                             {"result", result_text(outcome.result)},
                             {"old_script", outcome.old_script},
                             {"recorded", outcome.recorded},
                             {"not_recorded_because", nullptr},
                             {"duration_s", std::round(outcome.duration_s * 1000) / 1000},
                             {"problems", outcome.report.problems},
                             {"databases", nlohmann::ordered_json::array()}};
  if (!outcome.unrecorded.empty()) out["not_recorded_because"] = outcome.unrecorded;
  if (!outcome.trouble.empty()) out["problems"].push_back(outcome.trouble);
  for (const DatabaseReport& database : outcome.report.databases)
    out["databases"].push_back(database_json(database));
  if (outcome.run || outcome.run_failed()) out["run"] = run_json(outcome, trial);
  return out;
}

std::string headline(const std::string& app, const VerifyOutcome& outcome, CheckDepth depth, std::FILE* out) {
  const std::string line = app + ": " + printable(outcome.name) + ": ";
  const auto& databases = outcome.report.databases;
  switch (outcome.result) {
    case VerifyOutcome::Result::kGone:
      return line + "removed while it was checked, as by retention";
    case VerifyOutcome::Result::kDamaged:
      return line + painted("DAMAGED", Tone::kBad, out);
    case VerifyOutcome::Result::kUnchecked:
      return line + painted("COULD NOT BE CHECKED", Tone::kBad, out);
    case VerifyOutcome::Result::kGood:
      break;
  }
  std::uint64_t bytes = 0;
  for (const DatabaseReport& database : databases) bytes += database.bytes;
  return line +
         fmt::format("{}{}, {} {}, {}, checked {} in {}{}",
                     painted("ok", outcome.in_part() ? Tone::kWarning : Tone::kGood, out),
                     outcome.in_part() ? " as far as it could be checked" : "", databases.size(),
                     databases.size() == 1 ? "database" : "databases", format_bytes(bytes),
                     depth == CheckDepth::kFull ? "fully" : "quickly", format_duration(outcome.duration_s),
                     outcome.old_script ? "; of the old script: sound, but copied while it was written" : "");
}

std::string database_lines(const DatabaseReport& database) {
  std::string text;
  const std::string name = printable(database.name);
  for (const std::string& problem : database.problems)
    text += fmt::format("\n  {}: {}: {}", name, state_text(database.state), problem);
  for (const DatabaseReport::Page& page : database.pages)
    text += fmt::format("\n    page {}: {}", page.page, page.owner);
  if (database.damaged_pages > database.pages.size())
    text += fmt::format("\n    and {} more pages", database.damaged_pages - database.pages.size());
  if (database.state == DatabaseReport::State::kGood && !database.unchecked.empty())
    text += "\n  " + name + ": " + unchecked_text(database.unchecked);
  if (!database.foreign_keys_unchecked.empty())
    text += "\n  " + name + ": " + foreign_keys_unchecked_text(database.foreign_keys_unchecked);
  if (database.foreign_key_violations > 0)
    text += fmt::format("\n  {}: {} rows refer to rows that do not exist, as on the server", name,
                        database.foreign_key_violations);
  return text;
}

std::string remedy(const VerifyOutcome& outcome, const std::string& file) {
  const bool bad =
      std::any_of(outcome.report.databases.begin(), outcome.report.databases.end(),
                  [](const auto& database) { return database.state != DatabaseReport::State::kGood; });
  if (outcome.result != VerifyOutcome::Result::kDamaged || !bad) return {};
  return "\n  restore from another snapshot: litepull verify " + shell_path(file) +
         " all shows which are good";
}

std::string lines_of(const Config& config, const VerifyOutcome& outcome, CheckDepth depth, std::FILE* out) {
  std::string text = headline(config.app_name, outcome, depth, out);
  for (const DatabaseReport& database : outcome.report.databases) text += database_lines(database);
  for (const std::string& problem : outcome.report.problems) text += "\n  " + problem;
  if (!outcome.trouble.empty()) text += "\n  " + outcome.trouble;
  return text + remedy(outcome, config.file);
}

std::string run_text(const VerifyOutcome& outcome, const TrialOptions& trial) {
  if (!outcome.run) return "the command could not be run: " + outcome.run_trouble;
  const CommandRun& run = *outcome.run;
  if (run.timed_out) return fmt::format("the command was ended: it took longer than {} s", trial.timeout_s);
  const std::string ended = run.status == 0 ? "succeeded" : fmt::format("FAILED with status {}", run.status);
  return fmt::format("the command {} after {}", ended, format_duration(run.seconds));
}

// With --quiet, what the command printed has not been shown yet.
void print_run(const std::string& app, const VerifyOutcome& outcome, const TrialOptions& trial,
               const CommonOptions& common) {
  const std::string text = app + ": " + printable(outcome.name) + ": " + run_text(outcome, trial);
  if (outcome.run_failed()) {
    if (common.quiet && outcome.run) fmt::print(stderr, "{}", outcome.run->last_lines);
    fmt::print(stderr, "litepull: error: {}\n", text);
  } else if (outcome.run && !common.json && !common.quiet) {
    fmt::print("{}\n", text);
  }
}

}  // namespace

nlohmann::ordered_json verify_json(const std::string& app, int exit_code,
                                   const std::vector<VerifyOutcome>& outcomes, const TrialOptions& trial) {
  nlohmann::ordered_json out{
      {"app", app}, {"exit_code", exit_code}, {"snapshots", nlohmann::ordered_json::array()}};
  for (const VerifyOutcome& outcome : outcomes) out["snapshots"].push_back(outcome_json(outcome, trial));
  return out;
}

void print_verified(const Config& config, const std::vector<VerifyOutcome>& outcomes, bool strict,
                    const VerifyOptions& options, const CommonOptions& common) {
  for (const VerifyOutcome& outcome : outcomes) {
    const bool good = outcome.result == VerifyOutcome::Result::kGood && !(strict && outcome.in_part());
    if (!common.json && !common.quiet)
      fmt::print("{}\n", lines_of(config, outcome, options.depth, stdout));
    else if (!common.json && !good)
      fmt::print(stderr, "litepull: error: {}\n", lines_of(config, outcome, options.depth, stderr));
    if (!outcome.unrecorded.empty())
      fmt::print(stderr, "litepull: warning: {}: {}: the result could not be recorded: {}\n", config.app_name,
                 printable(outcome.name), outcome.unrecorded);
    print_run(config.app_name, outcome, options.trial, common);
  }
}

}  // namespace litepull
