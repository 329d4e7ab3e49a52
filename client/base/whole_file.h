// Files that get their name only once they are complete and on disk. A reader finds the old file or the new
// one, also after a kill or on a full disk.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace litepull {

// True when anything has that name, even a dangling link.
bool is_taken(const std::string& path);

// Makes the missing directories above it. Throws Error{kFailed} with the path, also when the name is taken.
void write_new_file(const std::string& path, std::string_view content, mode_t mode);

// Replaces what has that name. A link is replaced itself, not its target. The directory must exist.
void replace_file(const std::string& path, std::string_view content, mode_t mode);

}  // namespace litepull
