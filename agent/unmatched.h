// Finds databases that nobody asked for: files below the storage directory that begin like SQLite's and that
// no pattern of the request matches and none of its EXCLUDE covers. Whoever added one to the app shall hear
// of it before the day on which it is needed.
//
// This look has bounds and is no full search. It takes no longer than kMaxLookUs, and tells when it did not
// get through. It does not look into directories two levels down a tree of two-character names, as Active
// Storage makes them (ab/cd/KEY). What users upload there may be databases, but not the app's.
#pragma once

#include "common/wire/protocol.h"

namespace litepull {

// Looks below the working directory, with the rights that this process has now. It opens files for a moment,
// so call it before anything is pinned, while this process holds no lock of SQLite's (agent/discover.h says
// why). It follows no link, and opens only regular files. What cannot be read is skipped.
Unmatched find_unmatched(const Request& request);

}  // namespace litepull
