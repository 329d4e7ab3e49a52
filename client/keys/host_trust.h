// Whether the host key that a server shows is trusted, as OpenSSH would decide from the same files, and what
// to do when it is not. Jump hosts and servers go through the same functions. Only a known key that matches
// is trusted, whatever StrictHostKeyChecking says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/keys/host_key.h"

namespace litepull {

// Of one host: which files to ask for which name.
struct HostTrust {
  std::string name;  // the host, or its HostKeyAlias
  std::uint16_t port = 22;
  std::vector<std::string> files;         // in OpenSSH's order: the user's, then the system's
  std::string own_file;                   // for new lines; empty: none of them is for that
  bool check_address = false;             // CheckHostIP
  std::vector<std::string> revoked_keys;  // RevokedHostKeys: files
  std::string algorithms;                 // HostKeyAlgorithms; empty: the usual ones
  std::vector<std::string> not_followed;  // what OpenSSH may trust a key by, and litepull does not
};

// The host key algorithms to ask for, best first, for libssh: those of known keys come first. Throws
// Error{kConfiguration} when HostKeyAlgorithms leaves none.
std::string host_key_algorithms(const HostTrust& trust);

// Throws Error{kConnection} with the remedy unless the key is trusted. `shown_host` is its name in messages;
// `address` is what we are connected to, empty when that is not known.
void require_trusted(const HostTrust& trust, const HostKey& key, const std::string& address,
                     const std::string& shown_host);

}  // namespace litepull
