// The agent at the far end of an SSH channel, uploaded first where the server does not have this build.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/link/link.h"

namespace litepull {

std::unique_ptr<Link> open_ssh_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                    const OnLogin& on_login);

}  // namespace litepull
