// Finds out whose databases lie in a directory, from the files alone, before there is a request.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "agent/owner.h"

namespace litepull {

// The owner of most databases in the working directory. If there are none in it, those below it count, level
// by level; if there are none at all, the owner of the directory. It is never root. A database counts only
// when nobody but root and its owner can change the directories that it lies in, because other users could
// move any file there. Reads the first bytes of files that may be databases, and follows no link. Throws
// Error{kRefused} when there is no such owner. `shown` is the directory, for messages.
Owner owner_of_storage(const std::string& shown);

// True when nobody but root, that owner and their groups can add to the directory or remove from it. With
// `sticky_will_do`, others may add to it but not replace what is there (the sticky bit).
bool is_controlled_by(const struct stat& directory, const Owner& owner, bool sticky_will_do);

}  // namespace litepull
