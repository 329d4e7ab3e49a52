// What a snapshot says about itself: `manifest.json` in its directory, described field by field in
// client/SNAPSHOT_FORMAT.md. Written when the snapshot is staged, replaced once it has been verified, read
// by list, verify, restore and retention. A manifest on disk is treated as hostile: reading one throws
// Error{kCorrupt} and never more than 16 MiB of it is looked at. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/database_name.h"

namespace litepull {

inline constexpr int kManifestFormat = 2;  // as written; format 1 has no checksum and is read, too
inline constexpr std::size_t kMaxManifestBytes = 16 * 1024 * 1024;

// What the checks found. kPending: published, the result is not recorded yet.
enum class Verified { kOk, kFailed, kSkipped, kPending };

std::string_view verified_text(Verified verified);  // "ok", "failed", "skipped", "pending"

struct Manifest {
  struct Server {
    std::string transport;  // "ssh" or "local"
    std::string host;
    std::uint16_t port = 0;
    std::string user;
    std::string directory;

    bool operator==(const Server&) const = default;
  };

  struct Wire {
    std::uint64_t received_bytes = 0;
    std::uint64_t sent_bytes = 0;

    bool operator==(const Wire&) const = default;
  };

  // What the pull cost the server.
  struct Agent {
    double cpu_s = 0;
    std::uint64_t peak_rss_bytes = 0;

    bool operator==(const Agent&) const = default;
  };

  struct Table {
    std::string name;
    std::int64_t rows = 0;

    bool operator==(const Table&) const = default;
  };

  // Why a database is missing from the snapshot.
  struct Failure {
    std::string kind;
    std::string message;
    std::string hint;

    bool operator==(const Failure&) const = default;
  };

  struct Database {
    std::string name;  // a path below the snapshot's directory, unless `error` is set: then only for display
    std::uint64_t bytes = 0;
    std::uint32_t page_size = 0;
    std::uint32_t pages = 0;
    std::uint32_t changed_pages = 0;  // that crossed the wire
    std::string base;                 // the snapshot that the other pages came from; may be empty
    std::uint64_t shared_bytes = 0;   // on disk shared with that snapshot's file
    std::string journal_mode;
    double hold_s = 0;  // how long its read transaction lasted
    std::uint64_t spooled_bytes = 0;
    std::uint64_t wal_bytes_before = 0;
    std::uint64_t wal_bytes_after = 0;
    std::string xxh128;        // 32 lower-case hex digits, as `xxhsum -H2` prints; empty when `error` is set
    std::string source_state;  // 32 hex digits: what the agent will know it by again; may be empty
    std::string read_at;       // as rfc3339_utc writes it: when all of it was last read on the server
    Verified verified = Verified::kPending;
    std::vector<std::string> problems;  // what integrity_check said
    std::int64_t foreign_key_violations = 0;
    std::vector<Table> tables;
    std::optional<Failure> error;

    bool operator==(const Database&) const = default;
  };

  std::string tool;  // "litepull 0.1.0"
  std::string app;
  std::string snapshot;  // the name of the directory
  std::string label;
  std::string started_at;  // these four as rfc3339_utc writes them; empty when it has not happened
  std::string pinned_at;
  std::string finished_at;
  std::string verified_at;
  Server server;
  std::string set_consistency = "none";  // "barrier", "pinned", or "none" when nothing was pinned
  double skew_ms = 0;
  double lock_hold_ms = 0;  // how long writers were held at the barrier
  Wire wire;
  Agent agent;
  double duration_s = 0;
  std::string verify = "full";             // what was asked for: "full", "quick" or "none"
  Verified verified = Verified::kPending;  // the whole snapshot
  bool pinned = false;                     // kept whatever its age
  std::vector<Database> databases;

  bool operator==(const Manifest&) const = default;
};

// The verdict on a snapshot with these databases: kOk only when there are some, none is missing and each is
// ok. Retention trusts this, so a snapshot that lacks a database never takes the place of one that has it.
Verified verified_together(const std::vector<Manifest::Database>& databases);

// "2026-11-22T01:00:00.123Z" (RFC 3339, always UTC, always milliseconds).
std::string rfc3339_utc(std::int64_t unix_ms);
// The instant that a text of exactly this form means.
std::optional<std::int64_t> parse_rfc3339_utc(const std::string& text);

// Never throws for what the strings hold: invalid UTF-8 becomes U+FFFD. Problems and tables past their caps
// are left out, and all of them when the text would otherwise pass kMaxManifestBytes.
std::string to_json_text(const Manifest& manifest);

// `text` with its checksum filled in: XXH3-128 of all of it, the 32 digits of the checksum being zeros, so
// that a bit that flips in a manifest on disk is not read as a fact. `text` has the checksum's field once.
std::string seal_manifest(std::string text);

// One entry of `databases`, in valid UTF-8 throughout; `litepull backup --json` prints the same.
nlohmann::ordered_json database_json(const Manifest::Database& database);

// Throws Error{kCorrupt} for anything that is not a manifest of format 1 or 2, and for one that is not as it
// was written; `shown` names it in messages.
// Fields that are not known are passed over, fields that are missing keep their defaults, except `format`,
// `app`, `snapshot`, `verified`, `databases` and each database's `name`, and `xxh128` unless it has an
// `error`.
Manifest parse_manifest(std::string_view text, const std::string& shown = kManifestName);

// Writes or replaces the manifest in one step, and returns once it is on disk. `shown` is the snapshot's
// path for messages. One writer at a time: the caller holds the app's lock.
void write_manifest(int snapshot_dir_fd, const Manifest& manifest, const std::string& shown);

// nullopt when the directory has none. A link, or anything else that is not a regular file, is kCorrupt.
std::optional<Manifest> read_manifest(int snapshot_dir_fd, const std::string& shown);

}  // namespace litepull
