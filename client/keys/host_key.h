// The host key that a server has shown, for a person to compare.
#pragma once

#include <libssh/libssh.h>

#include <string>

namespace litepull {

struct HostKey {
  std::string type;         // "ssh-ed25519"
  std::string base64;       // the key itself
  std::string fingerprint;  // "SHA256:..."

  std::string shown() const { return type + " " + fingerprint; }
};

// To be called after the key exchange. Throws Error{kConnection} when no key can be read.
HostKey host_key_of(ssh_session session, const std::string& shown_host);

}  // namespace litepull
