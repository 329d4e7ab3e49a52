// Private key files, with and without a passphrase.
#pragma once

#include <libssh/libssh.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

struct KeyDeleter {
  void operator()(ssh_key key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<std::remove_pointer_t<ssh_key>, KeyDeleter>;

enum class KeyState { kLoaded, kLocked, kUnreadable };  // kLocked: it has a passphrase

struct KeyFile {
  KeyState state = KeyState::kUnreadable;
  Key key;  // when loaded
};

// Never asks for a passphrase.
KeyFile load_key(const std::string& path);

// The public keys and certificates that IdentityFile `path` may mean, each as it is on the wire: the public
// key in the file itself (a .pub file, or a private key in OpenSSH's format, locked or not), the one in
// PATH.pub, and the certificate in PATH-cert.pub. Empty when none of them can be read.
std::vector<std::string> public_halves(const std::string& path);

// The public half, from the file itself or from PATH.pub; null when neither has one.
Key load_public_half(const std::string& path);

struct UnlockedKey {
  Key key;          // null when it was not opened
  std::string why;  // the reason then: "there is no terminal to ask for it on"
};

// Asks on the terminal, up to a few times, for the passphrase of the key in `path`. All runs of this process
// share the terminal and ask one after the other. What is typed is never shown, and it is overwritten in
// memory after use. Each answer is tried in a child process, which is killed after `timeout_s`, since a key
// can be made as slow to open as its owner likes (ssh-keygen -a). A question that nobody answers ends before
// the server would hang up.
UnlockedKey unlock_key(const std::string& path, int timeout_s, const Cancel& cancel);

// In the child: opens the key with the passphrase on standard input and prints the key without a passphrase.
// Returns the exit code.
int unlock_key_command(const std::string& path);

}  // namespace litepull
