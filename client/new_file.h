// Files that are new: whole and on disk under their name, or not there, and never in place of another.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace litepull {

// True when there is anything of that name, a dangling link too.
bool is_taken(const std::string& path);

// Makes the directories above that are missing. Throws Error{kFailed} with the path named, also when there is
// something of that name.
void write_new_file(const std::string& path, std::string_view content, mode_t mode);

}  // namespace litepull
