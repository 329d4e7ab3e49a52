// What the user's OpenSSH configuration says about one host. OpenSSH itself reads it and prints the result
// (`ssh -G`), so Host, Match, Include and the order of precedence count. libssh's own reader is not used: it
// knows fewer keywords, and with `StrictHostKeyChecking no` it would accept an unknown host key as a known
// one (ssh_session_is_known_server in 0.10). Only the settings below are taken from the answer.
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

// `~` and sequences such as %h are expanded. `none` becomes empty.
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

// Throws Error{kConfiguration} when OpenSSH is not installed, refuses the file, or gives an answer that
// cannot be used.
OpenSshHost ask_openssh(const OpenSshQuery& query, const Cancel& cancel);

// Parses the answer of `ssh -G`.
OpenSshHost parse_openssh_answer(const std::string& answer, const OpenSshQuery& query);

// The directory in which OpenSSH and libssh look for .ssh: the user's home by the system, not $HOME.
std::string home_directory();

// The same file or directory below it, as a person may type it: "~/.ssh" if `~` means that home to a shell,
// which goes by $HOME, and else its whole path. Safe to print.
std::string shown_in_home(const std::string& below);

}  // namespace litepull
