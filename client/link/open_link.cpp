// In a file of its own, so that a test can link another open_link().
#include "client/link/link.h"
#include "client/link/local_link.h"
#include "client/link/start_agent.h"

namespace litepull {

std::unique_ptr<Link> open_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                const OnLogin& on_login) {
  if (config.transport == Transport::kSsh) return start_agent_on_server(config, agent_path, cancel, on_login);
  on_login("");
  return open_local_link(config, agent_path, cancel);
}

}  // namespace litepull
