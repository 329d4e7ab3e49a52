#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/base/output.h"
#include "client/base/progress.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/nightly/age_text.h"
#include "client/store/manifest_json.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

struct ListCommand {
  ManyAppsOptions common;
};

std::string age_of(std::int64_t unix_s) {
  return age_text(unix_ms_now() / 1000 - unix_s);
}

// Good, except for what only the app can judge.
bool in_part(const Snapshot& snapshot) {
  const auto& databases = snapshot.manifest->databases;
  return std::any_of(databases.begin(), databases.end(),
                     [](const auto& database) { return !database.unchecked.empty(); });
}

std::string state_of(const Snapshot& snapshot) {
  if (snapshot.old_script()) return "unknown (old script)";
  switch (snapshot.verified) {
    case Verified::kOk:
      return in_part(snapshot) ? "ok as far as checked" : "ok";
    case Verified::kFailed:
      return failed_unchecked(*snapshot.manifest) ? "NOT CHECKED" : "FAILED";
    case Verified::kSkipped:
      return "not checked";
    case Verified::kPending:
      return "not finished";
  }
  return "";
}

// How much of its files shares disk blocks with an earlier snapshot.
std::uint64_t shared_bytes(const Snapshot& snapshot) {
  std::uint64_t total = 0;
  if (snapshot.manifest)
    for (const Manifest::Database& database : snapshot.manifest->databases) total += database.shared_bytes;
  return total;
}

bool is_pinned(const Snapshot& snapshot) {
  return snapshot.manifest && snapshot.manifest->kept;
}

std::string verified_age(const Snapshot& snapshot) {
  const auto unix_ms = parse_rfc3339_utc(snapshot.manifest ? snapshot.manifest->verified_at : "");
  return unix_ms ? age_of(*unix_ms / 1000) : "";
}

const char* origin_word(const Snapshot& snapshot) {
  switch (snapshot.origin) {
    case Origin::kHere:
      return "here";
    case Origin::kMoved:
      return "moved";
    case Origin::kElsewhere:
      break;
  }
  return "foreign";
}

nlohmann::ordered_json snapshot_json(const Store& store, const Listing& listing, const Snapshot& snapshot,
                                     std::int64_t now_unix_s) {
  const auto number = number_of(listing, snapshot, now_unix_s);
  const std::string_view unnumbered = why_unnumbered(snapshot, now_unix_s);
  nlohmann::ordered_json entry;
  entry["index"] = number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
  entry["unnumbered"] = unnumbered.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(unnumbered);
  entry["name"] = snapshot.name;
  entry["path"] = store.path_of(snapshot.name);
  entry["unix_s"] = snapshot.time.unix_s;
  entry["label"] = snapshot.manifest ? snapshot.manifest->label : "";
  entry["databases"] = snapshot.database_count;
  entry["bytes"] = snapshot.size_bytes;
  entry["disk_bytes"] = snapshot.disk_bytes;
  entry["shared_bytes"] = shared_bytes(snapshot);
  entry["verified"] = verified_text(snapshot.verified);
  entry["verified_at"] = nullptr;
  if (snapshot.manifest && !snapshot.manifest->verified_at.empty())
    entry["verified_at"] = snapshot.manifest->verified_at;
  entry["pinned"] = is_pinned(snapshot);
  entry["old_script"] = snapshot.old_script();
  entry["origin"] = origin_word(snapshot);
  entry["source"] =
      snapshot.manifest ? server_json(snapshot.manifest->server) : nlohmann::ordered_json(nullptr);
  return entry;
}

nlohmann::ordered_json to_json(const std::string& app, const Store& store, const Listing& listing,
                               std::int64_t now_unix_s) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["exit_code"] = 0;
  out["directory"] = store.path();
  out["snapshots"] = nlohmann::ordered_json::array();
  for (const Snapshot& snapshot : listing.snapshots)
    out["snapshots"].push_back(snapshot_json(store, listing, snapshot, now_unix_s));
  out["left_alone"] = nlohmann::ordered_json::array();
  for (const Stranger& stranger : listing.strangers)
    out["left_alone"].push_back({{"name", printable(stranger.name)}, {"reason", printable(stranger.reason)}});
  return out;
}

// What is shown of one app.
struct Listed {
  std::string app;
  std::string directory;
  Listing listing;
  std::int64_t now_unix_s = 0;
};

Tone tone_of(const Snapshot& snapshot) {
  if (snapshot.verified == Verified::kFailed) return Tone::kBad;
  const bool good = !snapshot.old_script() && snapshot.verified == Verified::kOk && !in_part(snapshot);
  return good ? Tone::kGood : Tone::kWarning;
}

// Fits 80 columns: what says least goes first.
Table snapshot_table() {
  using enum Table::Align;
  return Table({{"app"},
                {"#", kRight},
                {"snapshot"},
                {"label", kLeft, 0, true},
                {"age", kRight},
                {"databases", kRight, 3},
                {"size", kRight},
                {"shared", kRight, 2},
                {"verified"},
                {"ago", kRight, 4},
                {"pinned", kLeft, 1},
                {"origin"}});
}

void add_row(Table& table, const std::string& app, const Listed& listed, const Snapshot& snapshot) {
  const std::uint64_t shared = shared_bytes(snapshot);
  const auto number = number_of(listed.listing, snapshot, listed.now_unix_s);
  table.add({{app},
             {number ? std::to_string(*number) : "-"},
             {snapshot.name},
             {snapshot.manifest ? printable(snapshot.manifest->label) : ""},
             {age_of(snapshot.time.unix_s)},
             {std::to_string(snapshot.database_count)},
             {format_bytes(snapshot.size_bytes)},
             {shared > 0 ? format_bytes(shared) : ""},
             {state_of(snapshot), tone_of(snapshot)},
             {verified_age(snapshot)},
             {is_pinned(snapshot) ? "pinned" : ""},
             {snapshot.origin == Origin::kHere ? "" : origin_word(snapshot)}});
}

// A line for each other place that snapshots came from, with "moved" or "foreign".
void print_origins(const Config& config, const Listing& listing) {
  const Manifest::Server here = source_of(config);
  std::map<std::string, std::size_t> counts;
  for (const Snapshot& snapshot : listing.snapshots)
    if (snapshot.origin != Origin::kHere)
      ++counts[fmt::format("{:7}  {}", origin_word(snapshot), origin_text(snapshot, here))];
  for (const auto& [text, count] : counts) fmt::print("       {}: {}\n", text, count);
}

std::string total_text(const std::vector<Listed>& apps) {
  std::size_t count = 0;
  std::uint64_t bytes = 0, disk_bytes = 0;
  for (const Listed& listed : apps)
    for (const Snapshot& snapshot : listed.listing.snapshots) {
      ++count;
      bytes += snapshot.size_bytes;
      disk_bytes += snapshot.disk_bytes;
    }
  return fmt::format("{} {}, {}, {} on disk", count, count == 1 ? "snapshot" : "snapshots",
                     format_bytes(bytes), format_bytes(disk_bytes));
}

void print_others(const Config& config, const Listed& listed, bool named) {
  print_origins(config, listed.listing);
  if (listed.listing.snapshots.empty())
    fmt::print("  {}no snapshots yet; make one with: litepull backup {}\n", named ? listed.app + ": " : "",
               shell_path(config.file));
  for (const Stranger& stranger : listed.listing.strangers)
    fmt::print("       {:24}  left alone: {}\n", printable(stranger.name), printable(stranger.reason));
}

// One table for all apps.
void print(const std::vector<Config>& configs, const std::vector<Listed>& apps) {
  Table table = snapshot_table();
  bool any = false;
  for (const Listed& listed : apps) {
    if (apps.size() == 1) fmt::print("{}  ({})\n", listed.app, printable(listed.directory));
    any = any || !listed.listing.snapshots.empty();
    for (const Snapshot& snapshot : listed.listing.snapshots)
      add_row(table, apps.size() > 1 ? listed.app : "", listed, snapshot);
  }
  if (any) fmt::print("{}  {}\n", table.text(stdout, 2), total_text(apps));
  for (std::size_t i = 0; i < apps.size(); ++i) print_others(configs[i], apps[i], apps.size() > 1);
}

int list_command(const ListCommand& command) {
  std::vector<Config> configs;
  std::vector<Listed> apps;
  const int code = run_apps(command.common, OnSignal::kEnd, [&](const AppContext& run) {
    const Config& config = run.config;
    const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
    Listed listed{config.app_name, store.path(), list_snapshots(store, config), unix_ms_now() / 1000};
    AppResult result{to_json(config.app_name, store, listed.listing, listed.now_unix_s)};
    configs.push_back(config);
    apps.push_back(std::move(listed));
    return result;
  });
  if (!command.common.json) print(configs, apps);
  return code;
}

}  // namespace

void add_list(CommandLine& line) {
  auto list = line.make<ListCommand>();
  Options command = line.add("list", "Show the snapshots of an app", list, list_command);
  add_configs(command, list->common);
  add_json(command, list->common);
  command.footer("Example:\n  litepull list config/projects/billing.env");
}

}  // namespace litepull
