// The way through a jump host: a channel of its session to the next host ("direct-tcpip", RFC 4254, section
// 7.2), and a thread that moves bytes between it and a socket. There is no child process, and nothing of ours
// runs on the jump host. It sees only what the SSH connection to the next host has encrypted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/ssh/conduit.h"
#include "client/ssh/session.h"

namespace litepull {

// Returns once the next host has accepted the connection. Throws Error{kConnection}.
std::unique_ptr<Conduit> open_tunnel(std::unique_ptr<SshSession> session, const std::string& host,
                                     std::uint16_t port);

}  // namespace litepull
