// Whose snapshots are these? A directory of snapshots should hold those of one app on one server. A
// configuration that was copied and edited, but for its APP_NAME, would mix two of them, and `latest` could
// put staging's data onto production. So each manifest records its source, and what is not from the source
// that a configuration names is foreign to it.
//
// Two sources are the same when all of this holds:
// - Their app ids are equal, or one of them has none. Ids that differ always mean two apps. Equal ids prove
//   nothing, since a copied file keeps the id.
// - Their directories are equal: one server may keep two apps. A directory below `~` is the user's own.
// - It is the same server: either the host key is the same, whatever host and port are called, or host and
//   port are. A host that shows another key than before (it was installed again, say) stays the same one: a
//   person has told known_hosts to trust that key. But an address behind another jump host is another server
//   unless it shows the same key: private networks use the same addresses.
// Manifests of before have no host key and no id; theirs are compared by host, port and directory.
//
// What is the same only by its key or only by its name is told to the user; what differs stops a pull.
// Plain functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/config/config.h"
#include "client/store/manifest.h"
#include "client/store/store.h"

namespace litepull {

// As a manifest records it. `host_key` is the fingerprint that the server showed; empty: not connected.
Manifest::Server source_of(const Config& config, const std::string& host_key = {});

// Precondition: both say where they are from (`transport`).
bool same_source(const Manifest::Server& a, const Manifest::Server& b);

// "deploy@shop.example:/storage", safe to print, with port, host key and app id where these differ.
struct SourceTexts {
  std::string theirs, ours;
};
SourceTexts side_by_side(const Manifest::Server& theirs, const Manifest::Server& ours);

// Sets the origin of each snapshot as `here` sees it, from the newest to the oldest: what one snapshot proves
// (a host's key, a move) counts for those before it. `before` is where the app was up to now, when the user
// has just said so. A snapshot that does not say where it is from is the app's own.
void mark_origins(Listing& listing, const Manifest::Server& here,
                  const std::optional<Manifest::Server>& before = std::nullopt);

// What the store has, as this configuration sees it.
Listing list_snapshots(const Store& store, const Config& config);

// For a snapshot that is not from here: "from deploy@staging.example:/storage", safe to print; else empty.
std::string origin_text(const Snapshot& snapshot, const Manifest::Server& here);

// --- before a pull ---------------------------------------------------------------------------------------

// What a pull does about a directory whose newest snapshot is foreign.
enum class WhenForeign {
  kStop,   // it throws Error{kConfiguration}
  kMoved,  // the user says that the app has moved; an error when nothing here is foreign
  kGoOn,   // what it pulls takes no other snapshot's place
};

struct Arrival {
  Manifest::Server source;                     // for the manifest
  std::optional<Manifest::Server> moved_from;  // likewise
  std::string note;                            // for a person: what is new about the server; may be empty
};

// Called once the server is known by its key, and before anything is pulled. Marks `listing` anew. Passed
// over when the newest snapshot is looked for: what is more than a day in the future, which would stay the
// newest, and safety snapshots, which `restore --from-other-server` may have put here.
Arrival arrive(const Config& config, const std::string& host_key, WhenForeign when, std::int64_t now_unix_s,
               Listing& listing);

// The newest snapshot that decides whether a pull may go on; null when there is none.
const Snapshot* newest_to_compare(const Listing& listing, std::int64_t now_unix_s);

// Why two configurations must not be used together: they keep their snapshots in one directory. Empty when
// they do not. `is_error`: and they name two sources.
struct SharedDirectory {
  std::string text;
  bool is_error = false;
};
SharedDirectory shared_directory(const Config& a, const Config& b);

}  // namespace litepull
