// Files that come with litepull: where they are when it is installed, and in its source tree.
#pragma once

#include <string>

#include "client/config/env_file.h"

namespace litepull {

// The path of `name`, e.g. "kamal/pre-deploy": below $LITEPULL_SHARE when that is set, else below
// ../share/litepull beside the running program, else below deploy/ of the source tree that it lies in.
// Throws Error{kFailed} when it is in none of them.
std::string find_share_file(const std::string& name, const Environment& environment);

}  // namespace litepull
