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

enum class KeyState { kLoaded, kLocked, kUnreadable };  // kLocked: behind a passphrase

struct KeyFile {
  KeyState state = KeyState::kUnreadable;
  Key key;  // when loaded
};

// Never asks.
KeyFile load_key(const std::string& path);

// What IdentityFile may mean by `path`, as an agent would list it: the public key in the file itself (a .pub
// file, or a private one in OpenSSH's format, locked or not), in PATH.pub, and the certificate in
// PATH-cert.pub. Each as it is on the wire; empty when none of them can be read.
std::vector<std::string> public_halves(const std::string& path);

// The public half, from the file or the one beside it; null when there is none.
Key load_public_half(const std::string& path);

struct UnlockedKey {
  Key key;          // null when it was not opened
  std::string why;  // then, for people: "there is no terminal to ask for it on"
};

// Asks on the terminal for the passphrase of the key in `path`, a few times, one question at a time among all
// that run here. What was typed is overwritten in memory, and is neither shown nor kept. Each answer is tried
// in a child process, which is killed after `timeout_s`: a passphrase may be made as slow to try as its owner
// likes (ssh-keygen -a). A question that nobody answers ends by itself, before the server would hang up.
UnlockedKey unlock_key(const std::string& path, int timeout_s, const Cancel& cancel);

// In the child: opens the key with the passphrase on standard input, and prints it without one. Returns the
// exit code.
int unlock_key_command(const std::string& path);

}  // namespace litepull
