#include "client/preflight/key_step.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "client/keys/key_file.h"
#include "client/keys/unusable_key.h"
#include "client/ssh/route.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr const char* kKey = "key";
constexpr int kCannotLogIn = 3;
constexpr const char* kMakeOne =
    "make a key for litepull alone: ssh-keygen -t ed25519 -N '' -f ~/.ssh/litepull, add litepull.pub to the "
    "server's authorized_keys, and set SSH_KEY=~/.ssh/litepull";

void add_loaded(const std::string& path, Steps& steps) {
  struct stat status {};
  const bool open = ::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0;
  if (open)
    steps.warn(kKey, printable(path) + " can be read by other users of this machine",
               "chmod 600 " + shell_path(path));
  else
    steps.ok(kKey, printable(path) + ", usable without a terminal and without an agent");
}

// What the key files are, up to the first that could be loaded.
struct KeysFound {
  std::string loaded;
  std::string locked;  // the first behind a passphrase
};

KeysFound look_at(const std::vector<std::string>& paths) {
  KeysFound found;
  for (const std::string& path : paths) {
    if (::access(path.c_str(), R_OK) != 0) continue;
    const KeyState state = load_key(path).state;
    if (state == KeyState::kLoaded) found.loaded = path;
    if (state == KeyState::kLoaded) break;
    if (state == KeyState::kLocked && found.locked.empty()) found.locked = path;
  }
  return found;
}

// SSH_KEY names a public half, the key of a FIDO device, or no private key at all.
void add_unusable(const std::string& key, bool locked, Steps& steps) {
  if (!locked && fido_kind_of(key).empty() && !public_halves(key).empty())
    return steps.warn(kKey,
                      printable(key) +
                          " holds only the public half; the key must be in an SSH agent, and a run at night "
                          "may have none",
                      "for runs at night, make a key without a passphrase");
  const UnusableKey why = why_unusable(key);
  steps.fail(kKey, kCannotLogIn, why.message, why.hint);
}

}  // namespace

void try_key(const Config& config, const Cancel& cancel, Steps& steps) {
  steps.attempt(kKey, [&] {
    const KeysFound found = look_at(route_to_server(config, cancel).hops.back().keys);
    if (!found.loaded.empty()) return add_loaded(found.loaded, steps);
    if (config.ssh_key && (found.locked.empty() || !fido_kind_of(*config.ssh_key).empty()))
      return add_unusable(*config.ssh_key, !found.locked.empty(), steps);
    if (!found.locked.empty())
      return steps.warn(kKey,
                        printable(found.locked) + " has a passphrase, and a run at night cannot ask for it",
                        kMakeOne);
    steps.warn(kKey, "there is no key file, only the keys of the SSH agent, and a run at night may have none",
               kMakeOne);
  });
}

}  // namespace litepull
