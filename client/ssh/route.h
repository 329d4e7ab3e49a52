// The way to a server, decided before anything is connected: the hosts in order, and for each the user, the
// keys, and the host keys that are trusted. What the `.env` file sets wins over SSH_CONFIG.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/keys/host_trust.h"

namespace litepull {

struct SshHop {
  std::string shown;  // for messages: "billing.example.com:2222", "jump host bastion.example.com"
  bool is_jump = false;
  bool is_reached_directly = true;  // then ssh-keygen and ssh on this machine reach it, too
  std::string user;                 // is_user
  std::string host;                 // is_host
  std::uint16_t port = 22;

  HostTrust trust;

  std::vector<std::string> keys;  // files, in the order to be tried; they need not exist
  bool key_is_named = false;      // by SSH_KEY: when the server refuses it, no other key is tried
  bool keys_before_agent = false;
  std::string agent_socket;  // empty: $SSH_AUTH_SOCK; "none"
};

struct SshRoute {
  std::string proxy_command;  // connects to the first hop instead of TCP; empty: none
  std::vector<SshHop> hops;   // the server is the last
};

// Runs `ssh -G` when SSH_CONFIG is set. Throws Error{kConfiguration}.
SshRoute route_to_server(const Config& config, const Cancel& cancel);

}  // namespace litepull
