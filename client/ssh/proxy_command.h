// A ProxyCommand of SSH_CONFIG: a command whose standard input and output are the connection. The destructor
// ends the command and everything in its process group.
#pragma once

#include <memory>
#include <string>

#include "client/ssh/conduit.h"

namespace litepull {

// The shell runs `command` as it is. The caller must have put nothing unchecked into it.
std::unique_ptr<Conduit> start_proxy_command(const std::string& command);

}  // namespace litepull
