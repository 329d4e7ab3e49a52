#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/base/console.h"
#include "client/base/jobs.h"
#include "client/preflight/preflight.h"
#include "client/commands/commands.h"
#include "client/preflight/unmatched_json.h"
#include "client/link/agent_file.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

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

std::ptrdiff_t count_of(const CheckReport& report, StepState state) {
  return std::count_if(report.steps.begin(), report.steps.end(),
                       [&](const CheckStep& step) { return step.state == state; });
}

std::string summary(const CheckReport& report) {
  const auto failed = count_of(report, StepState::kFailed), warnings = count_of(report, StepState::kWarning);
  std::string text =
      failed == 0 ? "ready"
                  : fmt::format("{} {} in the way", failed, failed == 1 ? "problem is" : "problems are");
  if (warnings > 0) text += fmt::format(", {} {}", warnings, warnings == 1 ? "warning" : "warnings");
  return text;
}

void print(const Config& config, const CheckReport& report) {
  fmt::print("{}: {}\n", config.app_name, summary(report));
  for (const CheckStep& step : report.steps) {
    fmt::print("  {:8} {:14} {}\n", state_text(step.state), step.name, step.text);
    if (!step.hint.empty()) fmt::print("  {:8} {:14} > {}\n", "", "", step.hint);
  }
  if (report.exit_code == 0) fmt::print("Next:\n  litepull backup {}\n", shell_path(config.file));
}

nlohmann::ordered_json to_json(const Config& config, const CheckReport& report) {
  nlohmann::ordered_json out;
  out["app"] = config.app_name;
  out["exit_code"] = report.exit_code;
  out["unmatched"] = unmatched_json(report.unmatched);
  out["steps"] = nlohmann::ordered_json::array();
  for (const CheckStep& step : report.steps)
    out["steps"].push_back(
        {{"name", step.name}, {"state", state_text(step.state)}, {"text", step.text}, {"hint", step.hint}});
  return out;
}

}  // namespace

int check_command(const CheckCommand& command) {
  Cancel cancel;
  nlohmann::ordered_json out;
  int exit_code = 1;
  const std::string& file = command.common.configs.front();
  std::string app = printable(file);
  run_jobs(1, 1, cancel, [&](std::size_t) {
    const auto error = error_of([&] {
      const Config config = load_config(file, command.common.environment);
      app = config.app_name;
      const CheckReport report =
          check_app(config, command.common.environment, find_agent(command.agent_path), cancel);
      exit_code = report.exit_code;
      if (command.common.json)
        out = to_json(config, report);
      else
        print(config, report);
    });
    if (!error) return;
    exit_code = exit_code_of(error->kind());
    out = error_json(app, exit_code, *error);
    fmt::print(stderr, "{}: {}\n", app, describe(*error));
  });
  if (command.common.json) print_json(nlohmann::ordered_json::array({out}));
  return exit_code;
}

}  // namespace litepull
