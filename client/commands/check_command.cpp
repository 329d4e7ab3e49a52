#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/base/terminal.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/link/agent_file.h"
#include "client/preflight/preflight.h"
#include "client/preflight/unmatched_json.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

struct CheckCommand {
  OneAppOptions common;
  std::string agent_path;  // as find_agent takes it
};

std::string_view state_text(StepState state) {
  switch (state) {
    case StepState::kOk:
      return "ok";
    case StepState::kWarning:
      return "warning";
    case StepState::kFailed:
      return "FAILED";
    case StepState::kSkipped:
      break;
  }
  return "skipped";
}

std::ptrdiff_t count_of(const PreflightReport& report, StepState state) {
  return std::count_if(report.steps.begin(), report.steps.end(),
                       [&](const Step& step) { return step.state == state; });
}

std::string summary(const PreflightReport& report) {
  const auto failed = count_of(report, StepState::kFailed), warnings = count_of(report, StepState::kWarning);
  std::string text =
      failed == 0 ? "ready"
                  : fmt::format("{} {} in the way", failed, failed == 1 ? "problem is" : "problems are");
  if (warnings > 0) text += fmt::format(", {} {}", warnings, warnings == 1 ? "warning" : "warnings");
  return text;
}

Tone tone_of(StepState state) {
  switch (state) {
    case StepState::kOk:
      return Tone::kGood;
    case StepState::kWarning:
      return Tone::kWarning;
    case StepState::kFailed:
      return Tone::kBad;
    case StepState::kSkipped:
      break;
  }
  return Tone::kPlain;
}

void print_step(const Step& step) {
  const std::string state = painted(fmt::format("{:8}", state_text(step.state)), tone_of(step.state), stdout);
  fmt::print("  {} {:14} {}\n", state, step.name, step.text);
  if (!step.hint.empty()) fmt::print("  {:8} {:14} > {}\n", "", "", step.hint);
  std::fflush(stdout);
}

void print_end(const Config& config, const PreflightReport& report) {
  const Tone tone = report.exit_code == 0 ? Tone::kGood : Tone::kBad;
  fmt::print("{}: {}\n", config.app_name, painted(summary(report), tone, stdout));
  if (report.exit_code == 0) fmt::print("Next:\n  litepull backup {}\n", shell_path(config.file));
}

nlohmann::ordered_json to_json(const Config& config, const PreflightReport& report) {
  nlohmann::ordered_json out;
  out["app"] = config.app_name;
  out["exit_code"] = report.exit_code;
  out["unmatched"] = unmatched_json(report.unmatched);
  out["steps"] = nlohmann::ordered_json::array();
  for (const Step& step : report.steps)
    out["steps"].push_back(
        {{"name", step.name}, {"state", state_text(step.state)}, {"text", step.text}, {"hint", step.hint}});
  return out;
}

// Each step is printed as it ends. Until the next one does, the seconds are counted on a terminal.
PreflightReport try_and_print(const AppContext& run, const CheckCommand& command) {
  Progress progress(run.board, run.config.app_name);
  progress.step("checking");
  const auto on_step = [&](const Step& step) {
    if (command.common.json) return;
    progress.clear();
    print_step(step);
    progress.step("checking");
  };
  return preflight(run.config, command.common.environment, find_agent(command.agent_path), run.cancel,
                   on_step);
}

int check_command(const CheckCommand& command) {
  return run_app(command.common, OnSignal::kCancel, [&](const AppContext& run) {
    const PreflightReport report = try_and_print(run, command);
    if (!command.common.json) print_end(run.config, report);
    return AppResult{to_json(run.config, report), report.exit_code};
  });
}

}  // namespace

void add_check(CommandLine& line) {
  auto check = line.make<CheckCommand>();
  check->agent_path = line.agent_path();
  Options command =
      line.add("check", "Try every step of a run without pulling anything", check, check_command);
  add_config(command, check->common);
  add_json(command, check->common);
  command.footer("Example:\n  litepull check config/projects/billing.env");
}

}  // namespace litepull
