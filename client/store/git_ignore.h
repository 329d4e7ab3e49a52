// Keeps real configurations and snapshots out of git: where they lie in a work tree, litepull writes a
// .gitignore. An existing one is the user's and is never changed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// The top of the work tree that `path` is in, or empty when it is in none. `path` need not exist.
std::string work_tree_of(const std::string& path);

// Writes DIRECTORY/.gitignore with a line for `pattern`, if the directory is in a work tree and has no such
// file. False when there was nothing to do. Throws Error when the file cannot be written.
bool keep_out_of_git(const std::string& directory, const std::string& pattern);

// The absolute path of the first file at or below `path` that git tracks. nullopt when there is none, when
// `path` is in no work tree, and when git cannot tell.
std::optional<std::string> tracked_by_git(const std::string& path, const Cancel& cancel);

}  // namespace litepull
