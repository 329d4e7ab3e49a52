#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/projects.h"
#include "client/nightly/prune.h"
#include "common/error.h"

namespace litepull {
namespace {

struct CleanupCommand {
  ManyAppsOptions common;
  bool dry_run = false;
  bool yes = false;  // a person wants all removed at once, see client/nightly/prune_guard.h
};

struct Cleanup {
  PruneResult plan;
  std::vector<std::string> removed;
};

nlohmann::ordered_json to_json(const std::string& app, const Cleanup& cleanup, bool dry_run) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["exit_code"] = 0;
  out["dry_run"] = dry_run;
  out["decisions"] = nlohmann::ordered_json::array();
  for (const Decision& decision : cleanup.plan.decisions)
    out["decisions"].push_back(
        {{"name", decision.name}, {"keep", decision.keep}, {"reason", decision.reason}});
  out["left_alone"] = nlohmann::ordered_json::array();
  for (const Stranger& stranger : cleanup.plan.strangers)
    out["left_alone"].push_back({{"name", printable(stranger.name)}, {"reason", printable(stranger.reason)}});
  out["removed"] = cleanup.removed;
  if (!cleanup.plan.note.empty()) {
    out["note"] = cleanup.plan.note;
    out["hint"] = cleanup.plan.hint;
  }
  return out;
}

void print(const std::string& app, const PruneResult& plan, bool dry_run) {
  const char* removal = dry_run ? "would remove" : "removed";
  const auto gone = std::count_if(plan.decisions.begin(), plan.decisions.end(),
                                  [](const auto& decision) { return !decision.keep; });
  fmt::print("{}: {} {}, kept {}\n", app, removal, gone,
             static_cast<std::ptrdiff_t>(plan.decisions.size()) - gone);
  for (const Decision& decision : plan.decisions)
    fmt::print("  {:12}  {:24}  {}\n", decision.keep ? "keep" : removal, decision.name, decision.reason);
  for (const Stranger& stranger : plan.strangers)
    fmt::print("  {:12}  {:24}  {}\n", "leave alone", printable(stranger.name), printable(stranger.reason));
}

Cleanup clean_up(const Config& config, const CleanupCommand& command) {
  Cleanup cleanup;
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  if (!store.exists()) return cleanup;
  const TimeEvidence evidence = evidence_here(store, unix_ms_now() / 1000);
  if (command.dry_run) {
    cleanup.plan = plan_prune(store, config, evidence, command.yes);
    return cleanup;
  }
  const AppLock lock = store.lock();
  store.sweep(lock);
  cleanup.plan = prune(store, lock, config, evidence, command.yes, cleanup.removed);
  return cleanup;
}

int cleanup_command(const CleanupCommand& command) {
  return run_apps(command.common, OnSignal::kEnd, [&](const AppContext& run) {
    const Config& config = run.config;
    const Cleanup cleanup = clean_up(config, command);
    const PruneResult& plan = cleanup.plan;
    if (!plan.note.empty())
      fmt::print(stderr, "litepull: warning: {}: {}\n  {}\n", config.app_name, plan.note,
                 with_config(plan.hint, config.file));
    if (!command.common.json && !command.common.quiet) print(config.app_name, cleanup.plan, command.dry_run);
    return AppResult{to_json(config.app_name, cleanup, command.dry_run)};
  });
}

}  // namespace

void add_cleanup(CommandLine& line) {
  auto cleanup = line.make<CleanupCommand>();
  Options command =
      line.add("cleanup", "Remove snapshots that retention does not keep", cleanup, cleanup_command);
  add_configs(command, cleanup->common);
  command.flag("-n,--dry-run", cleanup->dry_run, "Only say what would be removed, and why");
  command.flag("--yes", cleanup->yes,
               "Remove all at once, even more than half of the good ones, and even after a gap");
  add_quiet(command, cleanup->common, "errors");
  add_json(command, cleanup->common);
  command.footer("Example:\n  litepull cleanup --dry-run config/projects/billing.env");
}

}  // namespace litepull
