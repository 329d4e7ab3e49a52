// Turns a configuration into a session that is logged in, over the jump hosts that it names.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/ssh/session.h"

namespace litepull {

// Every hop must present a known host key, as the server must, before it is told a user name or a key. Throws
// Error{kConnection}, with the hop's name in front. Calls `on_trusted` once the server's key is trusted. The
// first two arguments must outlive the session.
std::unique_ptr<SshSession> connect_to_server(const Config& config, const Cancel& cancel,
                                              const std::function<void()>& on_trusted = {});

// The host key that the server shows now, which nothing has been compared with yet. `check` asks for it. Jump
// hosts must be trusted, and are logged in to. The server itself is told nothing.
struct SeenHostKey {
  HostKey key;
  std::string server;  // as messages name it
};
SeenHostKey see_host_key(const Config& config, const Cancel& cancel);

}  // namespace litepull
