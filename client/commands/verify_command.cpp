#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/commands/verify_text.h"
#include "client/commands/verify_work.h"

namespace litepull {
namespace {

constexpr int kDamagedCode = 4;

struct VerifyCommand {
  OneAppOptions common;
  VerifyOptions options;
};

// A snapshot that retention removed meanwhile is no damage, unless no snapshot could be checked.
int verify_exit_code(const std::vector<VerifyOutcome>& outcomes, bool strict) {
  const auto is = [&](VerifyOutcome::Result result) {
    return [result](const VerifyOutcome& outcome) { return outcome.result == result; };
  };
  const bool bad = std::any_of(outcomes.begin(), outcomes.end(), is(VerifyOutcome::Result::kDamaged)) ||
                   std::any_of(outcomes.begin(), outcomes.end(), is(VerifyOutcome::Result::kUnchecked)) ||
                   std::any_of(outcomes.begin(), outcomes.end(),
                               [&](const VerifyOutcome& outcome) {
                                 return outcome.run_failed() || (strict && outcome.in_part());
                               }) ||
                   std::all_of(outcomes.begin(), outcomes.end(), is(VerifyOutcome::Result::kGone));
  return bad ? kDamagedCode : 0;
}

int verify_command(const VerifyCommand& command) {
  return run_app(command.common, OnSignal::kCancel, [&](const AppContext& run) {
    const std::string& app = run.config.app_name;
    const bool strict = run.config.verify == VerifyMode::kStrict;
    const auto outcomes = verify_snapshots(command.options, command.common.quiet, run);
    const int code = verify_exit_code(outcomes, strict);
    print_verified(run.config, outcomes, strict, command.options, command.common);
    return AppResult{verify_json(app, code, outcomes, command.options.trial), code};
  });
}

}  // namespace

void add_verify(CommandLine& line) {
  auto verify = line.make<VerifyCommand>();
  if (const std::string directory = line.variable("TMPDIR"); !directory.empty())
    verify->options.trial.temporary_directory = directory;
  Options command = line.add("verify", "Check a snapshot, or all, against the manifest and with SQLite",
                             verify, verify_command);
  add_config(command, verify->common);
  command.add("SNAPSHOT", verify->options.snapshot,
              std::string("all, ") + kSnapshotWords + " (default latest)");
  command.flag(
      "--quick", [verify] { verify->options.depth = CheckDepth::kQuick; },
      "Run quick_check instead of integrity_check");
  command
      .add("--run", verify->options.trial.command,
           "Restore to a temporary directory and run this there with sh; exit code 4 if it fails")
      .type_name("COMMAND");
  command
      .duration("--run-timeout", verify->options.trial.timeout_s, 1, 1'000'000,
                "End the command after this time, e.g. 15m (default 10m); a plain number is seconds")
      .type_name("TIME");
  add_quiet(command, verify->common, "errors");
  add_json(command, verify->common);
  command.footer("Example:\n  litepull verify config/projects/billing.env all");
}

}  // namespace litepull
