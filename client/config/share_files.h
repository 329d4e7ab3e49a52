// Finds files that come with litepull, in an installation and in a source tree.
#pragma once

#include <string>

#include "client/config/env_file.h"

namespace litepull {

// The path of `name`, such as "kamal/pre-deploy". It is below $LITEPULL_SHARE if that is set, else below
// ../share/litepull beside the running program, else below deploy/ of the source tree that the program lies
// in. Throws Error{kFailed} when it is nowhere.
std::string find_share_file(const std::string& name, const Environment& environment);

}  // namespace litepull
