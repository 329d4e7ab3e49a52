// What root has to type on a server so that a login may start the agent through sudo there. The rule names
// the storage directory: the agent works nowhere else, whatever the login says to it (agent/confine.h).
#pragma once

#include <string>

namespace litepull {

// Where root keeps agents. A path that the login could write to would lend it all of root's rights.
inline constexpr const char* kRootPlace = "/usr/local/lib/litepull";

// What sudo was to run, and for whom.
struct SudoCall {
  std::string user = "USER", agent = "/PATH/TO/agent";  // both plain: letters, digits and a few signs, which
                                                        // in a user's name are "._-@" and a backslash
};

// As the server says it, so that it counts only when it is plain.
SudoCall sudo_call_of(const std::string& noise);

// A line for sudoers(5). `directory` is absolute clean UTF-8, and matches itself alone.
std::string sudo_rule(const std::string& user, const std::string& directory);

// Commands for root's shell: put the agent where only root can change it, remove those of older builds, which
// knew no bounds, and write the rule. Nothing that the login could write to is left in a rule.
std::string how_to_allow(const SudoCall& call, const std::string& app_name, const std::string& directory);

}  // namespace litepull
