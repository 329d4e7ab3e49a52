// Decides whether the host key that a server shows is trusted, as OpenSSH would from the same files, and
// names the remedy when it is not. Jump hosts and servers go through the same functions. Only a known key
// that matches is trusted, whatever StrictHostKeyChecking says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/keys/host_key.h"

namespace litepull {

// The files that are asked about one host, and the name that is looked up in them.
struct HostTrust {
  std::string name;  // the host, or its HostKeyAlias
  std::uint16_t port = 22;
  std::vector<std::string> files;         // in OpenSSH's order: the user's, then the system's
  std::string own_file;                   // for new lines; empty when no file takes them
  bool check_address = false;             // CheckHostIP
  std::vector<std::string> revoked_keys;  // RevokedHostKeys: files
  std::string algorithms;                 // HostKeyAlgorithms; empty: the usual ones
  std::vector<std::string> not_followed;  // settings by which OpenSSH may trust a key and litepull does not
};

// The host key algorithms to request, best first, for libssh. Those of known keys come first. Throws
// Error{kConfiguration} when HostKeyAlgorithms leaves none.
std::string host_key_algorithms(const HostTrust& trust);

// Throws Error{kConnection} with the remedy unless the key is trusted. `shown_host` is the host's name in
// messages. `address` is the address that we are connected to, empty when it is not known.
void require_trusted(const HostTrust& trust, const HostKey& key, const std::string& address,
                     const std::string& shown_host);

}  // namespace litepull
