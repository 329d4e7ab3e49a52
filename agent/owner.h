// Becomes the databases' owner, so that what SQLite creates or locks is the owner's, as with the app itself.
#pragma once

#include <vector>

#include "agent/discover.h"

namespace litepull {

// Started as root: gives root up for good and becomes the owner of most of the candidates. Candidates that
// the process may then not open safely (another owner's, or, not being started as root, somebody else's
// without the sidecars that the app has made) get a problem that names the remedy.
void become_owner(std::vector<Candidate>& candidates);

}  // namespace litepull
