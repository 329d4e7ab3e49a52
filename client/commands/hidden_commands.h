// Commands that this program starts itself with as a child, see client/sandbox/child.h. They are not for
// users. They are not in main.cpp, so that a test's program can have them too.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace litepull {

// Runs a hidden command and returns its exit code, or nullopt if `words` are none. `words` come without the
// program's name.
std::optional<int> run_hidden_command(const std::vector<std::string>& words);

}  // namespace litepull
