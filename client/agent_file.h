// The agent's program file on this machine, which is run here or uploaded.
#pragma once

#include <string>

namespace litepull {

struct AgentFile {
  std::string path;
  std::string content;
  std::string build;    // XXH3-128 of the content, as 32 hex digits: the name of this build on a server
  std::string machine;  // as `uname -m` names it: x86_64 or aarch64
};

// $LITEPULL_AGENT, else `litepull-agent` beside the running program. Throws Error{kFailed} when it is not
// there.
std::string find_agent(const std::string& override_path);

// Throws Error{kFailed} when `path` is no Linux program for a machine that is known.
AgentFile read_agent(const std::string& path);

// A path under which a child can run this very program.
std::string own_program();

}  // namespace litepull
