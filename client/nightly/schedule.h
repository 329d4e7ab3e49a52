// The daily backup as it is installed on this machine: where its files are, and how systemd or launchd is
// told. Failures are Error; kRefused for a file of that name that `litepull schedule` did not write.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/config/env_file.h"
#include "client/nightly/schedule_text.h"

namespace litepull {

enum class Scheduler { kSystemdUser, kSystemdSystem, kLaunchd };

struct ScheduleState {
  Scheduler scheduler = Scheduler::kSystemdUser;
  std::string file;             // the timer, or launchd's agent
  std::optional<TimeOfDay> at;  // none when the file was changed by hand
  bool enabled = false;         // set to start by itself, also after the machine has started anew
};

// What `litepull schedule` installed for this app, seen from the files alone; lines of a crontab are not
// looked for. Of several the user's own first.
std::optional<ScheduleState> installed_schedule(const std::string& app, const Environment& environment);

// The one that fits this machine; `system`: for all users, by root.
Scheduler scheduler_here(bool system);
std::string scheduler_text(Scheduler scheduler);  // "systemd (user)"

// The directory that holds its files. Error{kConfiguration} when HOME is needed and not set.
std::string schedule_directory(Scheduler scheduler, const Environment& environment);

// Writes the files and returns their paths. Does not tell the scheduler.
std::vector<std::string> write_schedule(Scheduler scheduler, const std::string& directory,
                                        const DailyBackup& backup, const Environment& environment);
// Removes them and returns what there was.
std::vector<std::string> remove_schedule_files(Scheduler scheduler, const std::string& directory,
                                               const std::string& app);

// For sh, and for a person to type: has the scheduler read the files and start, or stop.
std::string start_command_line(Scheduler scheduler, const std::string& app, const std::string& directory);
std::string stop_command_line(Scheduler scheduler, const std::string& app);

}  // namespace litepull
