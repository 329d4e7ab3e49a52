// The configurations of all apps, for `--all`.
#pragma once

#include <string>
#include <vector>

namespace litepull {

inline constexpr const char* kProjectsDirectory = "config/projects";  // of the current directory

// The paths of its `*.env` files, sorted. Error{kConfiguration} when it cannot be read or holds none.
std::vector<std::string> configs_in(const std::string& directory);

}  // namespace litepull
