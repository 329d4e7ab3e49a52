// The commands that client/sandbox/child.h starts this program with, not for users. They are here and not in
// main.cpp so that a test's program can be started with them, too.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace litepull {

// Runs the hidden command on this command line and returns the exit code; nullopt when it is another one.
std::optional<int> run_hidden_command(const std::vector<std::string>& words);

}  // namespace litepull
