// `litepull restore CONFIG SNAPSHOT --to-server` as a user types it.
#pragma once

#include <string>

#include "client/commands/command_options.h"
#include "client/restore/server.h"

namespace litepull {

struct RestoreServerCommand {
  OneAppOptions common;
  ServerRestoreOptions options;
  std::string yes;  // the app's name, instead of typing it
};

// Returns the process's exit code: as for backup, but 1 is: failed, nothing changed on the server, and 4:
// some databases were restored and others not, or it is not known.
int restore_server_command(const RestoreServerCommand& command);

}  // namespace litepull
