// Becomes the databases' owner, so that what SQLite creates or locks is the owner's, as with the app itself.
#pragma once

#include <sys/types.h>

#include <vector>

#include "agent/discover.h"

namespace litepull {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Becomes that user, who is not root, and nobody else for good: no group but this one, no capability, no way
// to more rights through a program. Throws Error when the system does not let it.
void give_up_root(const Owner& owner);

// Started as root: gives root up for good and becomes the owner of most of the candidates. Candidates that
// the process may then not open safely (another owner's, or, not being started as root, somebody else's
// without the sidecars that the app has made) get a problem that names the remedy.
void become_owner(std::vector<Candidate>& candidates);

}  // namespace litepull
