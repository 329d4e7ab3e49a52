// For TRANSPORT=local: the agent as a child process.
#pragma once

#include <memory>
#include <string>

#include "client/link/link.h"

namespace litepull {

// `agents` is what find_agent() has found.
std::unique_ptr<Link> open_local_link(const Config& config, const std::string& agents, const Cancel& cancel);

}  // namespace litepull
