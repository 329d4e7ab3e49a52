#include "client/pull/manifest_of.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "client/base/clock.h"
#include "client/config/origin.h"
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
    case ErrorKind::kInterrupted:
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
    entry.error = Manifest::Failure{kind_text(pulled.problem->kind), safe_text(pulled.problem->message),
                                    safe_text(pulled.problem->hint)};
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
  entry.xxh128 = to_hex(pulled.xxh128);
  entry.keyed_digest = to_hex(pulled.end.digest);
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

void sort_by_name(Manifest& manifest) {
  std::sort(manifest.databases.begin(), manifest.databases.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

}  // namespace

Manifest manifest_of(const Config& config, const Pull& pull) {
  Manifest manifest;
  manifest.tool = kTool;
  manifest.app = config.app_name;
  manifest.server = source_of(config);
  manifest.set_consistency = consistency_text(pull.set.consistency);
  manifest.skew_ms = static_cast<double>(pull.set.skew_us) / 1e3;
  manifest.set_note = printable(pull.set.note);
  manifest.lock_hold_ms = static_cast<double>(pull.set.lock_hold_us) / 1e3;
  const bool ahead = static_cast<std::uint64_t>(pull.pinned_unix_ms) > pull.hello.clock_unix_ms;
  manifest.clock_difference_ms = ahead ? pull.clock_difference_ms : -pull.clock_difference_ms;
  manifest.pinned_at = rfc3339_utc(pull.pinned_unix_ms);
  manifest.agent = {static_cast<double>(pull.done.cpu_us) / 1e6, pull.done.max_rss_bytes};
  for (const PulledDatabase& database : pull.databases)
    manifest.databases.push_back(database_entry(database, manifest.pinned_at));
  sort_by_name(manifest);
  return manifest;
}

const Manifest* newest_complete(const Listing& listing) {
  const auto found =
      std::find_if(listing.snapshots.rbegin(), listing.snapshots.rend(), [](const Snapshot& snapshot) {
        return snapshot.manifest && !snapshot.foreign() && !snapshot.manifest->databases.empty() &&
               std::none_of(snapshot.manifest->databases.begin(), snapshot.manifest->databases.end(),
                            [](const auto& database) { return database.error.has_value(); });
      });
  return found == listing.snapshots.rend() ? nullptr : &*found->manifest;
}

std::vector<MissingDatabase> missing_databases(const std::set<std::string>& there, const Config& config,
                                               const Manifest* earlier) {
  std::vector<MissingDatabase> missing;
  const auto expect = [&](const std::string& name, const std::string& why) {
    const bool known =
        std::any_of(missing.begin(), missing.end(), [&](const auto& one) { return one.name == name; });
    if (!known && !there.contains(name) && !there.contains(printable(name)) &&
        !glob_matches_any(config.exclude, name))
      missing.push_back({name, why});
  };
  for (const std::string& glob : config.databases)
    if (glob.find_first_of("*?[") == std::string::npos) expect(glob, "DATABASES names it");
  if (earlier == nullptr) return missing;
  for (const Manifest::Database& database : earlier->databases)
    if (glob_matches_any(config.databases, database.name))
      expect(database.name, "it was there when " + earlier->snapshot + " was made");
  return missing;
}

void add_missing(Manifest& manifest, const Config& config, const Manifest* earlier) {
  std::set<std::string> there;
  for (const Manifest::Database& database : manifest.databases) there.insert(database.name);
  for (const MissingDatabase& missing : missing_databases(there, config, earlier)) {
    Manifest::Database entry;
    entry.name = missing.name;
    entry.verified = Verified::kFailed;
    entry.error = Manifest::Failure{
        "failed", "it is not on the server, and " + missing.why,
        "check REMOTE_BACKUP_DIR and its volume; if it is gone on purpose, name it in EXCLUDE"};
    manifest.databases.push_back(std::move(entry));
  }
  sort_by_name(manifest);
}

}  // namespace litepull
