// Which snapshot a user means by a word, everywhere a command takes one. A pure function.
#pragma once

#include <string>

#include "client/store.h"

namespace litepull {

// In this order: `latest` (the newest), `latest-verified`, a snapshot's whole name, an index as `list` shows
// it (1 is the newest), a label, the beginning of a name. Throws Error{kConfiguration} when none fits, or
// several labels or beginnings do; the message names what there is. The result is part of `listing`.
const Snapshot& select_snapshot(const Listing& listing, const std::string& word);

// Its index in `list`: 1 for the newest.
std::size_t index_of(const Listing& listing, const Snapshot& snapshot);

}  // namespace litepull
