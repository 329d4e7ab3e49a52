#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "client/commands.h"
#include "client/console.h"
#include "client/prune.h"

namespace litepull {
namespace {

nlohmann::ordered_json to_json(const std::string& app, const PruneResult& result, bool dry_run) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["dry_run"] = dry_run;
  out["decisions"] = nlohmann::ordered_json::array();
  for (const Decision& decision : result.decisions)
    out["decisions"].push_back(
        {{"name", decision.name}, {"keep", decision.keep}, {"reason", decision.reason}});
  out["left_alone"] = nlohmann::ordered_json::array();
  for (const Stranger& stranger : result.strangers)
    out["left_alone"].push_back({{"name", printable(stranger.name)}, {"reason", printable(stranger.reason)}});
  out["removed"] = result.removed;
  return out;
}

void print(const std::string& app, const PruneResult& result, const CleanupCommand& command) {
  if (command.common.quiet) return;
  const char* removal = command.dry_run ? "would remove" : "removed";
  const auto gone =
      std::count_if(result.decisions.begin(), result.decisions.end(), [](const auto& d) { return !d.keep; });
  fmt::print("{}: {} {}, kept {}\n", app, removal, gone,
             static_cast<std::ptrdiff_t>(result.decisions.size()) - gone);
  for (const Decision& decision : result.decisions)
    fmt::print("  {:12}  {:24}  {}\n", decision.keep ? "keep" : removal, decision.name, decision.reason);
  for (const Stranger& stranger : result.strangers)
    fmt::print("  {:12}  {:24}  {}\n", "leave alone", printable(stranger.name), printable(stranger.reason));
}

PruneResult clean_up(const Config& config, bool dry_run) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  if (!store.exists()) return {};
  const AppLock lock = store.lock();
  if (!dry_run) store.sweep(lock);
  return prune(store, lock, config.retention_days, static_cast<std::int64_t>(std::time(nullptr)), dry_run);
}

}  // namespace

int cleanup_command(const CleanupCommand& command) {
  std::vector<int> codes;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& file : command.common.configs) {
    const auto error = error_of([&] {
      const Config config = load_config(file, command.common.environment);
      const PruneResult result = clean_up(config, command.dry_run);
      if (command.common.json)
        all.push_back(to_json(config.app_name, result, command.dry_run));
      else
        print(config.app_name, result, command);
    });
    codes.push_back(error ? exit_code_of(error->kind()) : 0);
    if (error) fmt::print(stderr, "litepull: error: {}: {}\n", printable(file), describe(*error));
  }
  if (command.common.json) fmt::print("{}\n", (codes.size() == 1 && all.size() == 1 ? all[0] : all).dump(2));
  return *std::max_element(codes.begin(), codes.end());
}

}  // namespace litepull
