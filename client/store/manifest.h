// What a snapshot says about itself, in `manifest.json` in its directory. client/store/SNAPSHOT_FORMAT.md
// describes every field. It is written when the snapshot is staged and replaced once the snapshot has been
// verified; list, verify, restore and retention read it. A manifest on disk may be hostile: a bad one is
// Error{kCorrupt}, and at most 16 MiB of it is read. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/database_name.h"

namespace litepull {

inline constexpr std::size_t kMaxManifestBytes = 16 * 1024 * 1024;
inline constexpr std::int64_t kMaxOrder = 1'000'000'000'000;  // later than any name's year

// What the checks found. kOk: nothing is wrong as far as it could be checked; `unchecked` of each database
// lists the rest. kPending: the snapshot is published and the result is not recorded yet.
enum class Verified { kOk, kFailed, kSkipped, kPending };

std::string_view verified_text(Verified verified);  // "ok", "failed", "skipped", "pending"
std::optional<Verified> parse_verified(std::string_view text);

struct Manifest {
  // The server that it came from, as the configuration named it; client/config/origin.h compares two of
  // these.
  struct Server {
    std::string transport;  // "ssh" or "local"; empty: the manifest does not say
    std::string host;       // this and the next two are empty and 0 for "local": it was this machine
    std::uint16_t port = 0;
    std::string user;
    std::string directory;
    // Each of these is empty when it is not known, since older manifests do not have them.
    std::string host_key{};  // the fingerprint of the key that the server showed: "SHA256:..."
    std::string proxy{};     // SSH_PROXY, as [user@]host[:port]
    std::string app_id{};    // APP_ID

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
    std::string keyed_digest;  // 32 hex digits: of the file, with the app's key; may be empty
    std::string source_state;  // 32 hex digits: what the agent will know it by again; may be empty
    std::string read_at;       // as rfc3339_utc writes it: when all of it was last read on the server
    Verified verified = Verified::kPending;
    std::vector<std::string> problems;   // what integrity_check said
    std::vector<std::string> unchecked;  // parts that only the app can judge, each with why
    std::int64_t foreign_key_violations = 0;
    std::vector<std::string> foreign_keys_unchecked;  // tables whose keys cannot be looked up, each with why
    std::vector<Table> tables;
    std::optional<Failure> error;

    bool operator==(const Database&) const = default;
  };

  // Of a safety snapshot: the restore that it was taken before.
  struct BeforeRestore {
    std::string snapshot;                // that was to be restored
    std::vector<std::string> databases;  // that were to be replaced
    std::string state;                   // one of those in client/restore/safety.h

    bool operator==(const BeforeRestore&) const = default;
  };

  std::string tool;  // "litepull 0.1.0"
  std::string app;
  std::string snapshot;    // the name of the directory
  std::int64_t order = 0;  // where it stands among the others, see SNAPSHOT_FORMAT.md; 0: by its time
  std::string label;
  std::string started_at;  // these four as rfc3339_utc writes them; empty when it has not happened
  std::string pinned_at;
  std::string finished_at;
  std::string verified_at;
  Server server;
  std::optional<Server> moved_from;      // where the app was before, says the user (--moved)
  std::string set_consistency = "none";  // "barrier", "pinned", or "none" when nothing was pinned
  double skew_ms = 0;
  std::string set_note;                             // why it is no barrier; may be empty
  std::optional<std::int64_t> clock_difference_ms;  // this machine's clock less the server's
  double lock_hold_ms = 0;                          // how long writers were held at the barrier
  Wire wire;
  Agent agent;
  double duration_s = 0;
  std::string verify = "full";             // what was asked for: "full", "quick" or "none"
  Verified verified = Verified::kPending;  // the whole snapshot
  bool kept = false;                       // whatever its age
  std::optional<BeforeRestore> before_restore;
  std::vector<Database> databases;

  bool operator==(const Manifest&) const = default;
};

// The verdict on a snapshot with these databases. It is kOk only when there is at least one, none is missing
// and each is ok. Retention relies on this, so an incomplete snapshot never replaces a complete one.
Verified verified_together(const std::vector<Manifest::Database>& databases);

// True when a failed snapshot may still be good: nothing is missing, and the only failures are checks that
// could not be made.
bool failed_unchecked(const Manifest& manifest);

// Writes or replaces the manifest in one step, and returns once it is on disk. `shown` is the snapshot's path
// for messages. The caller holds the app's lock, so there is one writer at a time.
void write_manifest(int snapshot_dir_fd, const Manifest& manifest, const std::string& shown);

// nullopt when the directory has none. kCorrupt when it is a link or anything else but a regular file.
std::optional<Manifest> read_manifest(int snapshot_dir_fd, const std::string& shown);

}  // namespace litepull
