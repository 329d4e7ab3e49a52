// The commands that a server's login shell is given. Nothing of a configuration is in them: the agents'
// builds (32 hex digits) and the size of one are all that varies, and everything else travels on standard
// input.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/link/agent_file.h"

namespace litepull {

// Becomes the one of these agents that is for the server's machine; without it there, or without one for that
// machine, prints "LITEPULL 1 upload <system> <machine>".
std::string start_command(const std::vector<AgentFile>& agents);

// The same through `sudo -n`, with the options --storage and the first line of standard input, which is the
// storage directory: it is read once "LITEPULL 1 storage" was printed. First says, in a line of its own,
// "litepull sudo <login user> <agent's path>"; without sudo prints "LITEPULL 1 no-sudo". An agent in
// kRootPlace (client/link/sudo_rule.h) is preferred to one that the login user could replace.
std::string sudo_start_command(const std::vector<AgentFile>& agents);

// What upload_command prints once it reads its input, and not the start-up files of the login shell.
inline constexpr const char* kReadyForInput = "litepull ready";

// Stores standard input, which must have `size` bytes, as the agent of that build, in the first private
// directory that can run programs and has room. Prints "stored" on success; otherwise exits with 1, has said
// why on stderr, and has left nothing.
std::string upload_command(const std::string& build, std::size_t size);

// Which directory that would be for an agent of `size` bytes, without storing one: prints what
// parse_directories reads.
std::string directory_command(std::size_t size);

struct RemoteDirectories {
  std::string chosen;  // empty: none will do
  std::vector<std::string>
      passed_over;  // "/var/tmp/litepull-0: programs cannot run there", in order, each once
};
RemoteDirectories parse_directories(const std::string& output);  // all of it safe to print

}  // namespace litepull
