// Files under their name only when they are whole and on disk: what is read there is the old file or the new
// one, also after a kill or on a full disk.
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

// In place of what is there; a link of that name is replaced itself. The directory must be there.
void replace_file(const std::string& path, std::string_view content, mode_t mode);

}  // namespace litepull
