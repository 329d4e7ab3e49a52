#pragma once

#include <string>

namespace litepull {

// A path under which a child can run this very program.
std::string own_program();

}  // namespace litepull
