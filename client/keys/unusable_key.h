// Why a file is not a private key that can be used here, as its bytes tell: it may be a public half, a PuTTY
// key, or the key of a FIDO device.
#pragma once

#include <string>

namespace litepull {

struct UnusableKey {
  std::string message;  // about the file, with its name; safe to print
  std::string hint;     // what to type
};

// To be called when libssh could not read the file.
UnusableKey why_unusable(const std::string& path);

// The kind of a FIDO device's key: "sk-ssh-ed25519@openssh.com", whether or not a passphrase is on it; empty
// for every other file.
std::string fido_kind_of(const std::string& path);

}  // namespace litepull
