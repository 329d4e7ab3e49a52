// Where snapshots came from. A directory of snapshots should hold those of one app on one server. If a
// configuration is copied and its APP_NAME is not changed, two apps would share the directory, and `latest`
// could put staging's data onto production. So each manifest records its source. A snapshot from another
// source than the configuration names is foreign.
//
// Two sources are the same when all of this holds:
//
// - Their app ids are equal, or one of them has none. Different ids always mean two apps. Equal ids prove
//   nothing, since a copied file has the same id.
// - Their directories are equal, since one server may hold two apps. A directory below `~` belongs to the
//   user.
// - The server is the same. Either the host key is the same, whatever the names of host and port, or host and
//   port are the same. A host that shows a new key (after a new installation, for example) is still the same
//   host: a person has told known_hosts to trust that key. But an address behind another jump host is another
//   server unless it shows the same key, since private networks use the same addresses.
//
// Older manifests have no host key and no id. They are compared by host, port and directory.
//
// The user is told when two sources are the same only by key or only by name. Different sources stop a pull.
// Plain functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/config/config.h"
#include "client/store/manifest.h"
#include "client/store/store.h"

namespace litepull {

// The source as a manifest records it. `host_key` is the fingerprint that the server showed; empty when not
// connected.
Manifest::Server source_of(const Config& config, const std::string& host_key = {});

// Precondition: both have a `transport`.
bool same_source(const Manifest::Server& a, const Manifest::Server& b);

// "deploy@shop.example:/storage", safe to print, with port, host key and app id where these differ.
struct SourceTexts {
  std::string theirs, ours;
};
SourceTexts side_by_side(const Manifest::Server& theirs, const Manifest::Server& ours);

// Sets the origin of each snapshot as `here` sees it, from the newest to the oldest. What one snapshot proves
// (a host's key, a move) counts for the earlier ones. `before` is where the app was until now, if the user
// has just said so. A snapshot without a source is the app's own.
void mark_origins(Listing& listing, const Manifest::Server& here,
                  const std::optional<Manifest::Server>& before = std::nullopt);

// The store's snapshots, with their origins as this configuration sees them.
Listing list_snapshots(const Store& store, const Config& config);

// "from deploy@staging.example:/storage" for a snapshot that is not from here; else empty. Safe to print.
std::string origin_text(const Snapshot& snapshot, const Manifest::Server& here);

// --- before a pull ---------------------------------------------------------------------------------------

// What a pull does when the directory's newest snapshot is foreign.
enum class WhenForeign {
  kStop,   // throws Error{kConfiguration}
  kMoved,  // the user says that the app has moved; an error when nothing here is foreign
  kGoOn,   // pulls: the new snapshot takes no other one's place
};

struct Arrival {
  Manifest::Server source;                     // for the manifest
  std::optional<Manifest::Server> moved_from;  // likewise
  std::string note;                            // for a person: what is new about the server; may be empty
};

// Called once the server's key is known and before anything is pulled. Sets the origins in `listing` again.
// Two kinds are not taken for the newest snapshot: those more than a day in the future, which would stay the
// newest, and safety snapshots, which `restore --from-other-server` may have put here.
Arrival arrive(const Config& config, const std::string& host_key, WhenForeign when, std::int64_t now_unix_s,
               Listing& listing);

// The newest snapshot that decides whether a pull may go on; null when there is none.
const Snapshot* newest_to_compare(const Listing& listing, std::int64_t now_unix_s);

// Says that two configurations put their snapshots into one directory; empty when they do not. `is_error` is
// true when they also name two sources.
struct SharedDirectory {
  std::string text;
  bool is_error = false;
};
SharedDirectory shared_directory(const Config& a, const Config& b);

}  // namespace litepull
