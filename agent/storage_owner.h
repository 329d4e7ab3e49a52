// Whose databases lie in a directory. Told from the files alone, before there is a request.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "agent/owner.h"

namespace litepull {

// The owner of most databases in the working directory; of those below it, level by level, when there are
// none in it itself; of the directory, when there are none at all. Never root. A database counts only when
// nobody but root and its owner can change the directories that it lies in: what others can move there may be
// anybody's. Reads the first bytes of files that may be databases; follows no link. Throws Error{kRefused}
// when there is no such owner; `shown` is the directory, for messages.
Owner owner_of_storage(const std::string& shown);

// Nobody but root, that owner and their groups can add to the directory, or take from it. `sticky_will_do`:
// others may add, but not replace what is there (the sticky bit).
bool is_controlled_by(const struct stat& directory, const Owner& owner, bool sticky_will_do);

}  // namespace litepull
