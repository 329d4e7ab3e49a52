// Databases that nobody asked for: files below the storage directory that begin as SQLite's do, and that no
// pattern of the request matches and none of its EXCLUDE covers. Somebody who added one to the app is to hear
// of it before the day on which it is missed.
//
// This is a look around with bounds, not a search: it takes no longer than kMaxLookUs, and says when it did
// not get through. Not looked into are directories two levels down a tree of two-character names, as Active
// Storage makes them (ab/cd/KEY): what users upload may be databases, and is none of the app's.
#pragma once

#include "common/wire/protocol.h"

namespace litepull {

// Below the working directory, with the rights that this process has now. Opens files for a moment: to be
// called while this process holds no lock of SQLite's (agent/discover.h says why), so before anything is
// pinned. No link is followed, nothing but regular files is opened. What cannot be read is passed over.
Unmatched find_unmatched(const Request& request);

}  // namespace litepull
