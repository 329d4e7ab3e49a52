// The command line as a whole: it names the commands, reads the line, and runs the command that it names.
#pragma once

#include "client/config/env_file.h"

namespace litepull {

// Runs the command that this command line names, and returns the process's exit code. A line that cannot be
// understood is reported on stderr, and the exit code is 2, or 3 with --nagios. Throws Error.
int run_command_line(int argc, char** argv, const Environment& environment);

// Whether --json is on the line, even if the line is wrong.
bool wants_json(int argc, char** argv);

}  // namespace litepull
