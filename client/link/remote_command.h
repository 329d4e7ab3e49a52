// The commands for a server's login shell. They contain nothing from a configuration. Only the agents' builds
// (32 hex digits) and the size of one vary, and everything else travels on standard input.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/link/agent_file.h"

namespace litepull {

// Runs the agent for the server's machine in place of the shell. When the server does not have it, or there
// is none for that machine, prints "LITEPULL 1 upload <system> <machine>".
std::string start_command(const std::vector<AgentFile>& agents);

// The same through `sudo -n`. Prints "LITEPULL 1 storage", then reads the storage directory, which is the
// first line of standard input, and gives it to the agent with --storage. Before it starts the agent it
// prints the line "litepull sudo <login user> <agent's path>". Without sudo it prints "LITEPULL 1 no-sudo".
// It prefers an agent in kRootPlace (client/link/sudo_rule.h) to one that the login user could replace.
std::string sudo_start_command(const std::vector<AgentFile>& agents);

// What upload_command prints before it reads its input. Until then a start-up file might read it.
inline constexpr const char* kReadyForInput = "litepull ready";

// Stores standard input, which must have `size` bytes, as the agent of that build, in the first private
// directory that can run programs and has room. Prints "stored" on success. Otherwise it says why on stderr,
// leaves nothing, and exits with 1.
std::string upload_command(const std::string& build, std::size_t size);

// Finds that directory for an agent of `size` bytes without storing one. Prints what parse_directories reads.
std::string directory_command(std::size_t size);

struct RemoteDirectories {
  std::string chosen;  // empty: none will do
  std::vector<std::string>
      passed_over;  // "/var/tmp/litepull-0: programs cannot run there", in order, each once
};
RemoteDirectories parse_directories(const std::string& output);  // all of it safe to print

}  // namespace litepull
