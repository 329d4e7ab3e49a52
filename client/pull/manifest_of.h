// What a manifest says of a pull: the same facts, in the terms of the snapshot.
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

// Server, consistency and databases of `pull`, sorted by name; what the run adds (label, times, name) is left
// to the caller.
Manifest manifest_of(const Config& config, const Pull& pull);

// The last snapshot taken that is not foreign and lacks no database, checked or not; null when there is none.
// What lacks one never stands for what there was; what `latest` passes over does.
const Manifest* newest_complete(const Listing& listing);

struct MissingDatabase {
  std::string name;
  std::string why;  // it should be there: the end of a sentence
};

// Those that should be there and are not among `there`: what DATABASES names without a wildcard, and what
// `earlier` (of newest_complete; may be null) holds and is still wanted. A volume that is not mounted, or a
// file that somebody moved, must not look like a good run, after which older snapshots expire.
std::vector<MissingDatabase> missing_databases(const std::set<std::string>& there, const Config& config,
                                               const Manifest* earlier);

// Adds an entry with an error for each of them.
void add_missing(Manifest& manifest, const Config& config, const Manifest* earlier);

}  // namespace litepull
