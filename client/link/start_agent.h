// Starts the agent on the server, and uploads it first when the server does not have this build.
#pragma once

#include <memory>
#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/link/link.h"

namespace litepull {

// As open_link() for TRANSPORT=ssh. `agent_path` is what find_agent() has found. Also throws Error{kRefused}
// when no agent at hand runs on the server's machine, and Error{kFailed} with the server's own words when the
// agent cannot be uploaded or does not start.
std::unique_ptr<Link> start_agent_on_server(const Config& config, const std::string& agent_path,
                                            const Cancel& cancel, const OnLogin& on_login);

}  // namespace litepull
