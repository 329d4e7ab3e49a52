// What the user's OpenSSH configuration says of one host, as OpenSSH itself reads it: `ssh -G` prints it,
// with Host, Match, Include and the order of precedence seen to. libssh's own reader is not used: it knows
// fewer keywords, and with `StrictHostKeyChecking no` it would take an unknown host key for a known one
// (ssh_session_is_known_server in 0.10). Of the answer, only what is named below is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/keys/host_trust.h"

namespace litepull {

struct OpenSshQuery {
  std::string file;  // for -F; empty: OpenSSH's usual files
  std::string host;  // is_host
  std::string user;  // is_user, or empty
  std::optional<std::uint16_t> port;
  int timeout_s = 15;  // `Match exec` runs commands
};

// Sequences such as %h are expanded, `~` too. `none` is empty.
struct OpenSshHost {
  std::string user;  // is_user
  std::string host;  // is_host
  std::uint16_t port = 22;
  std::vector<std::string> identity_files;
  bool identities_only = false;
  std::string identity_agent;  // a socket; empty: $SSH_AUTH_SOCK; "none"
  HostTrust trust;
  std::string proxy_jump;     // [user@]host[:port],...
  std::string proxy_command;  // for a shell, only with values that are is_host and is_user put in
};

// Throws Error{kConfiguration} when OpenSSH is not installed, refuses the file, or says what cannot be used.
OpenSshHost ask_openssh(const OpenSshQuery& query, const Cancel& cancel);

// The answer of `ssh -G`, by itself.
OpenSshHost parse_openssh_answer(const std::string& answer, const OpenSshQuery& query);

// Where OpenSSH and libssh look for .ssh: of the user, not of $HOME.
std::string home_directory();

}  // namespace litepull
