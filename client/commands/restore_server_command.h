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

// Returns the process's exit code, as for backup with two changes. 1 means that it failed and nothing changed
// on the server. 4 means that some databases were restored and others were not, or that this is unknown.
int restore_server_command(const RestoreServerCommand& command);

}  // namespace litepull
