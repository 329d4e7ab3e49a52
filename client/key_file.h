// Private key files, with and without a passphrase.
#pragma once

#include <libssh/libssh.h>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "client/cancel.h"

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

// The public half, from the file beside it; null when there is none.
Key load_public_half(const std::string& path);

// Asks on the terminal for the passphrase of the key in `path`, a few times, one question at a time among all
// that run here. Null when there is no terminal, nothing is typed, or no answer fits. What was typed is
// overwritten in memory, and is neither shown nor kept.
Key unlock_key(const std::string& path, const Cancel& cancel);

bool has_terminal();

}  // namespace litepull
