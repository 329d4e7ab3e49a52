// What a run needs of the server: that it answers and is trusted, the login, the agent, and the databases.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/link/look.h"
#include "client/preflight/steps.h"

namespace litepull {

struct ServerFindings {
  bool reachable = true;
  std::string host_key;            // its fingerprint; empty before a login over SSH
  std::optional<Look> look;        // if the agent could look around
  std::uint64_t needed_bytes = 0;  // by the databases together
};

// Tries each step by itself, so that it is plain which one fails. Throws Error{kCancelled}.
ServerFindings try_server(const Config& config, const std::string& agent_path, const Cancel& cancel,
                          Steps& steps);

}  // namespace litepull
