#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/nightly/age_text.h"
#include "client/store/manifest_json.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "common/error.h"

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

constexpr const char* kRow = "  {:>3}  {:24}  {:>8}  {:>9}  {:>9}  {:>9}  {:20}  {:>8}  {:6}  {}{}\n";

// The column of origins appears only if a snapshot is not from here.
bool has_others(const Listing& listing) {
  return std::any_of(listing.snapshots.begin(), listing.snapshots.end(),
                     [](const Snapshot& snapshot) { return snapshot.origin != Origin::kHere; });
}

std::string origin_column(const Snapshot* snapshot, bool with_origins) {
  if (!with_origins) return "";
  const char* word = snapshot == nullptr                 ? "origin"
                     : snapshot->origin == Origin::kHere ? ""
                                                         : origin_word(*snapshot);
  return fmt::format("{:7}  ", word);
}

void print_row(const Listing& listing, const Snapshot& snapshot, bool with_origins, std::int64_t now_unix_s) {
  const std::uint64_t shared = shared_bytes(snapshot);
  const auto number = number_of(listing, snapshot, now_unix_s);
  fmt::print(kRow, number ? std::to_string(*number) : "-", snapshot.name, age_of(snapshot.time.unix_s),
             snapshot.database_count, format_bytes(snapshot.size_bytes),
             shared > 0 ? format_bytes(shared) : "", state_of(snapshot), verified_age(snapshot),
             is_pinned(snapshot) ? "pinned" : "", origin_column(&snapshot, with_origins),
             snapshot.manifest ? printable(snapshot.manifest->label) : "");
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

void print(const Config& config, const Store& store, const Listing& listing, std::int64_t now_unix_s) {
  const bool with_origins = has_others(listing);
  fmt::print("{}  ({})\n", config.app_name, printable(store.path()));
  if (listing.snapshots.empty())
    fmt::print("  no snapshots yet; make one with: litepull backup CONFIG\n");
  else
    fmt::print(kRow, "#", "snapshot", "age", "databases", "size", "shared", "verified", "ago", "",
               origin_column(nullptr, with_origins), "label");
  for (const Snapshot& snapshot : listing.snapshots) print_row(listing, snapshot, with_origins, now_unix_s);
  if (with_origins) print_origins(config, listing);
  for (const Stranger& stranger : listing.strangers)
    fmt::print("       {:24}  left alone: {}\n", printable(stranger.name), printable(stranger.reason));
}

int list_command(const ListCommand& command) {
  return run_apps(command.common, OnSignal::kEnd, [&](const AppContext& run) {
    const Config& config = run.config;
    const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
    const Listing listing = list_snapshots(store, config);
    const std::int64_t now_unix_s = unix_ms_now() / 1000;
    if (!command.common.json) print(config, store, listing, now_unix_s);
    return AppResult{to_json(config.app_name, store, listing, now_unix_s)};
  });
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
