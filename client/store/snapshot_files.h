// Whether the files of a snapshot are still what its manifest tells of.
#pragma once

#include "client/store/store.h"

namespace litepull {

// True when each database is there, in its size: a checksum of all is for `verify`. `snapshot` has a
// manifest.
bool has_its_files(const Store& store, const Snapshot& snapshot);

}  // namespace litepull
