// What root must type on a server so that a login may start the agent through sudo. The rule names the
// storage directory. The agent works nowhere else, whatever the login tells it (agent/confine.h).
#pragma once

#include <string>

namespace litepull {

// Where root keeps agents. With a path that the login can write to, the rule would give it all of root's
// rights.
inline constexpr const char* kRootPlace = "/usr/local/lib/litepull";

// What sudo was to run, and for whom.
struct SudoCall {
  // Both consist of letters, digits and a few signs. In a user's name these are "._-@" and a backslash.
  std::string user = "USER", agent = "/PATH/TO/agent";
};

// Read from what the server printed. A word with other signs is not taken over.
SudoCall sudo_call_of(const std::string& noise);

// A line for sudoers(5). `directory` must be absolute and clean UTF-8. The rule matches that directory alone.
std::string sudo_rule(const std::string& user, const std::string& directory);

// Commands for root's shell. They put the agent where only root can change it, remove agents of older builds,
// which had no limits, and write the rule. The rule names nothing that the login could write to.
std::string how_to_allow(const SudoCall& call, const std::string& app_name, const std::string& directory);

}  // namespace litepull
