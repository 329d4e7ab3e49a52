// `litepull init` as a user types it: Kamal's configuration in, config/projects/APP.env out.
#pragma once

#include <string>

#include "client/commands/commands.h"
#include "client/init/plan.h"

namespace litepull {

struct InitCommand {
  CommonOptions common;  // no configurations
  std::string from = "config/deploy.yml";
  InitFlags flags;
  bool kamal = false;  // ask Kamal itself, which runs the Ruby in its files
  bool hook = false;   // install Kamal's pre-deploy hook, too
};

// Returns the process's exit code: 0, or throws. Whatever is missing or in the way is found before anything
// is written.
int init_command(const InitCommand& command);

}  // namespace litepull
