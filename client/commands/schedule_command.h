// `litepull schedule`: has an app backed up every day by the system's own scheduler.
#pragma once

#include <string>

#include "client/config/env_file.h"

namespace litepull {

struct ScheduleCommand {
  std::string config;
  Environment environment;
  std::string at;  // a time that parse_time_of_day takes; empty with `remove` and `show`
  int jitter_minutes = 0;
  bool remove = false;
  bool show = false;
  bool print_cron = false;
  bool system = false;
};

// Returns the process's exit code. Throws Error, also when the files are written and the scheduler does not
// take them: a backup that will not run is not scheduled.
int schedule_command(const ScheduleCommand& command);

}  // namespace litepull
