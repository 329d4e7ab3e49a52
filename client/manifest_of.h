// What a manifest says of a pull: the same facts, in the terms of the snapshot.
#pragma once

#include <string>

#include "client/config.h"
#include "client/manifest.h"
#include "client/receiver.h"

namespace litepull {

inline constexpr const char* kTool = "litepull " LITEPULL_VERSION;  // as manifests name it

// Server, consistency and databases of `pull`, sorted by name; what the run adds (label, times, name) is left
// to the caller.
Manifest manifest_of(const Config& config, const Pull& pull);

// Adds an entry with an error for each database that should be there and is not: one that DATABASES names
// without a wildcard, and one that `earlier` (the newest complete snapshot; null when there is none) holds
// and that is still wanted. A volume that is not mounted, or a file that somebody moved, must not look like a
// good run, after which older snapshots expire.
void add_missing(Manifest& manifest, const Config& config, const Manifest* earlier);

}  // namespace litepull
