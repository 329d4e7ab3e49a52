// The host key that a server has shown: what a person compares, and what would make it a trusted one.
#pragma once

#include <libssh/libssh.h>

#include <cstdint>
#include <string>
#include <vector>

namespace litepull {

struct HostKey {
  std::string type;         // "ssh-ed25519"
  std::string base64;       // the key itself
  std::string fingerprint;  // "SHA256:..."

  std::string shown() const { return type + " " + fingerprint; }
  // The line that a file of trusted keys needs, without a newline: "[host]:port type key".
  std::string known_hosts_line(const std::string& host, std::uint16_t port) const;
};

// After the key exchange. Throws Error{kConnection} when there is none that can be read.
HostKey host_key_of(ssh_session session, const std::string& shown_host);

// How a file of trusted keys names a host: "host", or "[host]:port" for a port other than 22.
std::string known_hosts_name(const std::string& host, std::uint16_t port);

// Does the file have a line "@revoked HOSTS TYPE KEY" with this key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)?
bool revokes(const std::string& path, const HostKey& key);

// Does the file have a line "@cert-authority HOSTS TYPE KEY" for this host?
bool trusts_by_certificate(const std::string& path, const std::string& known_hosts_name);

}  // namespace litepull
