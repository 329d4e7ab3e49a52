// Advice after a failed connection: what ~/.ssh/config knows about a host that the configuration does not
// use. People type `ssh host`, see that it works, and expect the same here.
#pragma once

#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/ssh/route.h"

namespace litepull {

// A sentence to put before another hint, with "; or " at its end. Empty if OpenSSH's configuration would
// change nothing for `hop`, or cannot be read within some seconds. It names SSH_CONFIG=yes when that would
// count, and a SERVER_PORT that overrides the host's Port. Runs `ssh -G`. Throws only Error{kCancelled}.
std::string openssh_advice(const Config& config, const SshHop& hop, const Cancel& cancel);

}  // namespace litepull
