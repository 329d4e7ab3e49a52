#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/clock.h"
#include "client/commands.h"
#include "client/each_config.h"
#include "client/store.h"
#include "common/error.h"

namespace litepull {
namespace {

std::string age_of(std::int64_t unix_s) {
  const std::int64_t age_s = unix_ms_now() / 1000 - unix_s;
  if (age_s < 0) return "future";
  if (age_s < 3600) return fmt::format("{} min", age_s / 60);
  if (age_s < 2 * 86400) return fmt::format("{} h", age_s / 3600);
  return fmt::format("{} days", age_s / 86400);
}

std::string state_of(const Snapshot& snapshot) {
  if (snapshot.old_script()) return "unknown (old script)";
  switch (snapshot.verified) {
    case Verified::kOk:
      return "ok";
    case Verified::kFailed:
      return "FAILED";
    case Verified::kSkipped:
      return "not checked";
    case Verified::kPending:
      return "not finished";
  }
  return "";
}

nlohmann::ordered_json to_json(const std::string& app, const Store& store, const Listing& listing) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["exit_code"] = 0;
  out["directory"] = store.path();
  out["snapshots"] = nlohmann::ordered_json::array();
  for (const Snapshot& snapshot : listing.snapshots) {
    nlohmann::ordered_json entry;
    entry["name"] = snapshot.name;
    entry["path"] = store.path_of(snapshot.name);
    entry["unix_s"] = snapshot.time.unix_s;
    entry["label"] = snapshot.manifest ? snapshot.manifest->label : "";
    entry["databases"] = snapshot.database_count;
    entry["bytes"] = snapshot.size_bytes;
    entry["disk_bytes"] = snapshot.disk_bytes;
    entry["verified"] = verified_text(snapshot.verified);
    entry["old_script"] = snapshot.old_script();
    out["snapshots"].push_back(std::move(entry));
  }
  out["left_alone"] = nlohmann::ordered_json::array();
  for (const Stranger& stranger : listing.strangers)
    out["left_alone"].push_back({{"name", printable(stranger.name)}, {"reason", printable(stranger.reason)}});
  return out;
}

void print(const std::string& app, const Store& store, const Listing& listing) {
  fmt::print("{}  ({})\n", app, printable(store.path()));
  if (listing.snapshots.empty())
    fmt::print("  no snapshots yet; make one with: litepull backup CONFIG\n");
  else
    fmt::print("  {:24}  {:>8}  {:>9}  {:>10}  {:20}  {}\n", "snapshot", "age", "databases", "size",
               "verified", "label");
  for (const Snapshot& snapshot : listing.snapshots)
    fmt::print("  {:24}  {:>8}  {:>9}  {:>10}  {:20}  {}\n", snapshot.name, age_of(snapshot.time.unix_s),
               snapshot.database_count, format_bytes(snapshot.size_bytes), state_of(snapshot),
               snapshot.manifest ? printable(snapshot.manifest->label) : "");
  for (const Stranger& stranger : listing.strangers)
    fmt::print("  {:24}  left alone: {}\n", printable(stranger.name), printable(stranger.reason));
}

}  // namespace

int list_command(const CommonOptions& options) {
  return for_each_config(options, [&](const Config& config) {
    const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
    const Listing listing = store.list();
    if (!options.json) print(config.app_name, store, listing);
    return to_json(config.app_name, store, listing);
  });
}

}  // namespace litepull
