// What the manifest says of a pull.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/pull/receiver.h"
#include "client/store/manifest.h"
#include "client/store/store.h"

namespace litepull {

inline constexpr const char* kTool = "litepull " LITEPULL_VERSION;  // as manifests name it

// Fills in the server, the consistency and the databases of `pull`, sorted by name. The caller adds what the
// run knows: label, times and name.
Manifest manifest_of(const Config& config, const Pull& pull);

// The last snapshot taken that is not foreign and lacks no database, checked or not; null when there is none.
// Snapshots that `latest` passes over count, too.
const Manifest* newest_complete(const Listing& listing);

struct MissingDatabase {
  std::string name;
  std::string why;  // why it should be there, as the end of a sentence
};

// Databases that should be among `there` and are not: those that DATABASES names without a wildcard, and
// those that `earlier` (from newest_complete; may be null) holds and that are still wanted. A volume that is
// not mounted, or a file that somebody moved, must not look like a good run, after which older snapshots
// expire.
std::vector<MissingDatabase> missing_databases(const std::set<std::string>& there, const Config& config,
                                               const Manifest* earlier);

// Adds an entry with an error for each of them.
void add_missing(Manifest& manifest, const Config& config, const Manifest* earlier);

}  // namespace litepull
