// The daily backup as it is installed on this machine: where its files are, and the commands that start and
// stop it in systemd or launchd. Throws Error on failure, and Error{kRefused} if `litepull schedule` did not
// write a file of that name.
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
  std::optional<TimeOfDay> at;  // none if the file was changed by hand
  bool enabled = false;         // it starts by itself, also after a reboot
};

// What `litepull schedule` installed for this app, by its files alone. Does not look into crontabs. If there
// are several, the user's own comes first.
std::optional<ScheduleState> installed_schedule(const std::string& app, const Environment& environment);

// The scheduler of this machine. `system`: the one for all users, which needs root.
Scheduler scheduler_here(bool system);
std::string scheduler_text(Scheduler scheduler);  // "systemd (user)"

// The directory that holds its files. Throws Error{kConfiguration} if HOME is needed and not set.
std::string schedule_directory(Scheduler scheduler, const Environment& environment);

// Writes the files and returns their paths. The scheduler does not know them yet: see start_command_line.
std::vector<std::string> write_schedule(Scheduler scheduler, const std::string& directory,
                                        const DailyBackup& backup, const Environment& environment);
// Removes the files and returns the paths of those that were there.
std::vector<std::string> remove_schedule_files(Scheduler scheduler, const std::string& directory,
                                               const std::string& app);

// A line for sh, which a person can also type. It makes the scheduler read the files and start the timer, or
// stop it.
std::string start_command_line(Scheduler scheduler, const std::string& app, const std::string& directory);
std::string stop_command_line(Scheduler scheduler, const std::string& app);

}  // namespace litepull
