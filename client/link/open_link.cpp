// By itself, so that a test can put a link of its own in the place of these.
#include "client/link/link.h"
#include "client/link/local_link.h"
#include "client/link/ssh_link.h"

namespace litepull {

std::unique_ptr<Link> open_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                const OnLogin& on_login) {
  if (config.transport == Transport::kSsh) return open_ssh_link(config, agent_path, cancel, on_login);
  on_login("");
  return open_local_link(config, agent_path, cancel);
}

}  // namespace litepull
