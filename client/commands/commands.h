// The commands as a user types them. Each adds itself, with its options, to the command line; its own file
// knows what it does and how the result is shown. Results go to stdout, progress and logs to stderr.
#pragma once

#include <string>

#include "client/commands/command_options.h"

namespace litepull {

void add_backup(CommandLine& line);
void add_check(CommandLine& line);
void add_cleanup(CommandLine& line);
void add_diff(CommandLine& line);
void add_init(CommandLine& line);
void add_list(CommandLine& line);
void add_open(CommandLine& line);
void add_pin(CommandLine& line, const std::string& name, const std::string& about, bool pinned);
void add_restore(CommandLine& line);
void add_schedule(CommandLine& line);
void add_status(CommandLine& line);
void add_verify(CommandLine& line);

}  // namespace litepull
