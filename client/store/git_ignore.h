// Real configurations and snapshots stay out of git: a .gitignore of our own where they would be in a work
// tree. One that is there is the user's, and is never changed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// The top of the work tree that `path` is in, whether it exists or not; empty when it is in none.
std::string work_tree_of(const std::string& path);

// Writes DIRECTORY/.gitignore with a line for `pattern`, where that is in a work tree and has none. False
// when there was nothing to do. Throws Error when it cannot be written.
bool keep_out_of_git(const std::string& directory, const std::string& pattern);

// The first file at or below `path` that git tracks, absolute; nothing when there is none, when `path` is in
// no work tree, and when git cannot tell.
std::optional<std::string> tracked_by_git(const std::string& path, const Cancel& cancel);

}  // namespace litepull
