// From a configuration to a session that is logged in, over the jump hosts that it names.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/ssh/session.h"

namespace litepull {

// Each hop's host key is checked, as strictly as the server's, before anything of a login is said there.
// Throws Error{kConnection}, with the hop's name in front. Calls `on_trusted` once the server's key is known
// to be right. The first two arguments must outlive the session.
std::unique_ptr<SshSession> connect_to_server(const Config& config, const Cancel& cancel,
                                              const std::function<void()>& on_trusted = {});

// For a check of the way to a server: the host key that it shows now, as nobody has yet judged it. Jump hosts
// must be trusted and are logged in to; the server itself is told nothing.
struct SeenHostKey {
  HostKey key;
  std::string server;  // as messages name it
};
SeenHostKey see_host_key(const Config& config, const Cancel& cancel);

}  // namespace litepull
