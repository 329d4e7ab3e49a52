// The host key that a server has shown: what a person compares.
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

// After the key exchange. Throws Error{kConnection} when there is none that can be read.
HostKey host_key_of(ssh_session session, const std::string& shown_host);

}  // namespace litepull
