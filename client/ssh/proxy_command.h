// A ProxyCommand of SSH_CONFIG: a command whose standard input and output are the connection. It and what it
// started in its process group are gone when this is.
#pragma once

#include <memory>
#include <string>

#include "client/ssh/conduit.h"

namespace litepull {

// `command` goes to the shell as it is: the caller has put nothing unchecked into it.
std::unique_ptr<Conduit> start_proxy_command(const std::string& command);

}  // namespace litepull
