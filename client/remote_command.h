// The commands that a server's login shell is given. Nothing of a configuration is in them: the agents'
// builds (32 hex digits) and the size of one are all that varies, and everything else travels on standard
// input.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/agent_file.h"

namespace litepull {

// Becomes the one of these agents that is for the server's machine; without it there, or without one for that
// machine, prints "LITEPULL 1 upload <system> <machine>".
std::string start_command(const std::vector<AgentFile>& agents);

// Stores standard input, which must have `size` bytes, as the agent of that build, in the first private
// directory that can run programs and has room. Prints "stored" on success; otherwise exits with 1, has said
// why on stderr, and has left nothing.
std::string upload_command(const std::string& build, std::size_t size);

}  // namespace litepull
