// What a user types: which words and options there are, and what is said of them. client/commands/commands.h
// knows what the commands do.
#pragma once

#include "client/config/env_file.h"

namespace litepull {

// Runs the command that is named on this command line and returns the process's exit code; 2, and a word on
// stderr, for one that is wrong. Throws Error.
int run_command_line(int argc, char** argv, const Environment& environment);

bool wants_json(int argc, char** argv);

}  // namespace litepull
