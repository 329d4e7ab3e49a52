// The agent's program files on this machine, one for each kind of server. One of them is run here or
// uploaded.
#pragma once

#include <string>
#include <vector>

namespace litepull {

struct AgentFile {
  std::string path;
  std::string content;
  std::string build;    // XXH3-128 of the content, as 32 hex digits: the name of this build on a server
  std::string machine;  // as `uname -m` names it: x86_64 or aarch64
};

// Returns `override_path` ($LITEPULL_AGENT, a file or a directory) unless it is empty. Otherwise returns the
// directory with agents: the running program's, or ../lib/litepull from there. In a directory
// `litepull-agent` is for the machine that it was built on, and `litepull-agent-MACHINE` for another. Throws
// Error{kFailed} when there is none.
std::string find_agent(const std::string& override_path);

// All agents that find_agent() has found, one for each machine. Throws Error{kFailed} when one is not a Linux
// program for a known machine.
std::vector<AgentFile> read_agents(const std::string& path);

// The agent for this machine, by its name. A `path` that is a file is returned as it is.
std::string local_agent(const std::string& path);

}  // namespace litepull
