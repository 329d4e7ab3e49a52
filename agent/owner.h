// Makes this process the databases' owner, so that SQLite creates and locks files as that user, as in the app
// itself.
#pragma once

#include <sys/types.h>

#include <vector>

#include "agent/discover.h"

namespace litepull {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Becomes that user, who is not root, and cannot go back: it has no group but this one, no capability, and no
// way to more rights through a program. Throws Error when the system does not allow this.
void give_up_root(const Owner& owner);

// When the agent was started as root, it gives up root for good and becomes the owner of most of the
// candidates. A candidate that it may then not open safely gets a problem that names the remedy. That is a
// database of another owner. When the agent was not started as root, it is also a database of another user
// without the sidecars that the app has made.
void become_owner(std::vector<Candidate>& candidates);

}  // namespace litepull
