#include "client/ssh/connect.h"

#include <utility>

#include "client/ssh/proxy_command.h"
#include "client/ssh/route.h"
#include "client/ssh/tunnel.h"

namespace litepull {
namespace {

// A session with the last hop. This logs in to all hops before it, but not to that one.
std::unique_ptr<SshSession> connect_along(const SshRoute& route, const Config& config, const Cancel& cancel) {
  std::unique_ptr<Conduit> conduit;
  if (!route.proxy_command.empty()) conduit = start_proxy_command(route.proxy_command);
  for (const SshHop& hop : route.hops) {
    auto session = std::make_unique<SshSession>(hop, std::move(conduit), config, cancel);
    if (&hop == &route.hops.back()) return session;
    session->log_in();
    const SshHop& next = *(&hop + 1);
    conduit = open_tunnel(std::move(session), next.host, next.port);
  }
  invariant(false, "a route without a server");
  return nullptr;
}

}  // namespace

std::unique_ptr<SshSession> connect_to_server(const Config& config, const Cancel& cancel,
                                              const std::function<void()>& on_trusted) {
  auto session = connect_along(route_to_server(config, cancel), config, cancel);
  session->log_in(on_trusted);
  return session;
}

SeenHostKey see_host_key(const Config& config, const Cancel& cancel) {
  const SshRoute route = route_to_server(config, cancel);
  const auto session = connect_along(route, config, cancel);
  return {session->host_key(), route.hops.back().shown};
}

}  // namespace litepull
