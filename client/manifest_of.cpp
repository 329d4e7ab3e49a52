#include "client/manifest_of.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "client/clock.h"
#include "common/error.h"
#include "common/glob.h"

namespace litepull {
namespace {

std::string kind_text(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "failed";
    case ErrorKind::kConfiguration:
      return "configuration";
    case ErrorKind::kConnection:
      return "connection";
    case ErrorKind::kPeer:
      return "peer";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kCancelled:
      return "cancelled";
  }
  return "failed";
}

double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

Manifest::Database database_entry(const PulledDatabase& pulled, const std::string& pinned_at) {
  Manifest::Database entry;
  entry.name = pulled.info.name;
  if (pulled.problem) {
    entry.name = printable(pulled.info.name);
    entry.verified = Verified::kFailed;
    entry.error = Manifest::Failure{kind_text(pulled.problem->kind), printable(pulled.problem->message),
                                    printable(pulled.problem->hint)};
    return entry;
  }
  entry.bytes = std::uint64_t{pulled.info.page_size} * pulled.info.page_count;
  entry.page_size = pulled.info.page_size;
  entry.pages = pulled.info.page_count;
  entry.changed_pages = pulled.end.pages_sent;
  entry.base = pulled.base;
  entry.shared_bytes = pulled.shared_bytes;
  entry.journal_mode = pulled.info.journal_mode == JournalMode::kWal ? "wal" : "rollback";
  entry.hold_s = rounded(static_cast<double>(pulled.end.hold_us) / 1e6);
  entry.spooled_bytes = pulled.end.spooled_bytes;
  entry.wal_bytes_before = pulled.info.wal_bytes;
  entry.wal_bytes_after = pulled.end.wal_bytes;
  entry.xxh128 = to_hex(pulled.end.digest);
  if (pulled.end.state != kNoState) entry.source_state = to_hex(pulled.end.state);
  entry.read_at = pulled.info.unchanged ? pulled.base_read_at : pinned_at;
  return entry;
}

std::string consistency_text(Consistency consistency) {
  switch (consistency) {
    case Consistency::kBarrier:
      return "barrier";
    case Consistency::kPinned:
      return "pinned";
    case Consistency::kNone:
      break;
  }
  return "none";
}

bool has(const Manifest& manifest, const std::string& name) {
  return std::any_of(manifest.databases.begin(), manifest.databases.end(),
                     [&](const auto& database) { return database.name == name; });
}

void sort_by_name(Manifest& manifest) {
  std::sort(manifest.databases.begin(), manifest.databases.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

void add_missing_one(Manifest& manifest, const Config& config, const std::string& name,
                     const std::string& why) {
  if (has(manifest, name) || glob_matches_any(config.exclude, name)) return;
  Manifest::Database entry;
  entry.name = name;
  entry.verified = Verified::kFailed;
  entry.error = Manifest::Failure{
      "failed", "it is not on the server, and " + why,
      "check REMOTE_BACKUP_DIR and its volume; if it is gone on purpose, name it in EXCLUDE"};
  manifest.databases.push_back(std::move(entry));
}

}  // namespace

Manifest manifest_of(const Config& config, const Pull& pull) {
  Manifest manifest;
  manifest.tool = kTool;
  manifest.app = config.app_name;
  const bool ssh = config.transport == Transport::kSsh;
  manifest.server = {ssh ? "ssh" : "local", ssh ? config.server_host : "",
                     ssh ? config.server_port : std::uint16_t{0}, ssh ? config.server_user : "",
                     config.remote_backup_dir};
  manifest.set_consistency = consistency_text(pull.set.consistency);
  manifest.skew_ms = static_cast<double>(pull.set.skew_us) / 1e3;
  manifest.lock_hold_ms = static_cast<double>(pull.set.lock_hold_us) / 1e3;
  manifest.pinned_at = rfc3339_utc(pull.pinned_unix_ms);
  manifest.agent = {static_cast<double>(pull.done.cpu_us) / 1e6, pull.done.max_rss_bytes};
  for (const PulledDatabase& database : pull.databases)
    manifest.databases.push_back(database_entry(database, manifest.pinned_at));
  sort_by_name(manifest);
  return manifest;
}

void add_missing(Manifest& manifest, const Config& config, const Manifest* earlier) {
  for (const std::string& glob : config.databases)
    if (glob.find_first_of("*?[") == std::string::npos)
      add_missing_one(manifest, config, glob, "DATABASES names it");
  if (earlier != nullptr)
    for (const Manifest::Database& database : earlier->databases)
      if (glob_matches_any(config.databases, database.name))
        add_missing_one(manifest, config, database.name, "it was when " + earlier->snapshot + " was made");
  sort_by_name(manifest);
}

}  // namespace litepull
