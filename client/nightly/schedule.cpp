#include "client/nightly/schedule.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/base/whole_file.h"
#include "client/config/share_files.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxFileBytes = 64 * 1024;
constexpr mode_t kUnitMode = 0644;  // it holds no secret
constexpr const char* kSystemUnits = "/etc/systemd/system";

std::string unit_name(const std::string& app, const char* ending) {
  return "litepull-" + app + ending;
}

std::string agent_name(const std::string& app) {
  return "litepull." + app + ".plist";
}

std::string timer_link(const std::string& directory, const std::string& app) {
  return directory + "/timers.target.wants/" + unit_name(app, ".timer");
}

std::string main_file(Scheduler scheduler, const std::string& app) {
  return scheduler == Scheduler::kLaunchd ? agent_name(app) : unit_name(app, ".timer");
}

std::vector<std::string> all_files(Scheduler scheduler, const std::string& app) {
  if (scheduler == Scheduler::kLaunchd) return {agent_name(app)};
  return {unit_name(app, ".service"), unit_name(app, ".timer")};
}

std::optional<std::string> text_of(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return std::nullopt;
  return read_file(path, kMaxFileBytes);
}

void require_ours(const std::string& path) {
  const auto text = text_of(path);
  if (text && !is_ours(*text))
    throw Error(ErrorKind::kRefused, path + " is there, and litepull schedule did not write it",
                "move it away, or remove it");
}

std::string template_text(const std::string& name, const Environment& environment) {
  return read_file(find_share_file(name, environment), kMaxFileBytes);
}

std::string home_of(const Environment& environment) {
  const auto home = environment.find("HOME");
  if (home == environment.end() || !home->second.starts_with('/'))
    throw Error(ErrorKind::kConfiguration, "HOME is not set, or not absolute",
                "set HOME to your home directory");
  return home->second;
}

std::optional<ScheduleState> state_in(Scheduler scheduler, const std::string& app,
                                      const Environment& environment) {
  const std::string directory = schedule_directory(scheduler, environment);
  ScheduleState state{scheduler, directory + "/" + main_file(scheduler, app), std::nullopt, true};
  const auto text = text_of(state.file);
  if (!text || !is_ours(*text)) return std::nullopt;
  if (scheduler == Scheduler::kLaunchd) {
    state.at = time_in_launchd(*text);
  } else {
    state.at = time_in_timer(*text);
    state.enabled = ::access(timer_link(directory, app).c_str(), F_OK) == 0;
  }
  return state;
}

}  // namespace

std::optional<ScheduleState> installed_schedule(const std::string& app, const Environment& environment) {
  for (const Scheduler scheduler :
       {Scheduler::kSystemdUser, Scheduler::kLaunchd, Scheduler::kSystemdSystem}) {
    std::optional<ScheduleState> state;
    error_of(
        [&] { state = state_in(scheduler, app, environment); });  // a file that cannot be read counts as none
    if (state) return state;
  }
  return std::nullopt;
}

Scheduler scheduler_here(bool system) {
#ifdef __APPLE__
  if (system)
    throw Error(ErrorKind::kConfiguration, "--system is for systemd",
                "leave it out: launchd runs the agent for you");
  return Scheduler::kLaunchd;
#else
  return system ? Scheduler::kSystemdSystem : Scheduler::kSystemdUser;
#endif
}

std::string scheduler_text(Scheduler scheduler) {
  switch (scheduler) {
    case Scheduler::kSystemdUser:
      return "systemd (user)";
    case Scheduler::kSystemdSystem:
      return "systemd (system)";
    case Scheduler::kLaunchd:
      break;
  }
  return "launchd";
}

std::string schedule_directory(Scheduler scheduler, const Environment& environment) {
  if (scheduler == Scheduler::kSystemdSystem) return kSystemUnits;
  if (scheduler == Scheduler::kLaunchd) return home_of(environment) + "/Library/LaunchAgents";
  // Only an absolute path counts (XDG Base Directory Specification).
  const auto config = environment.find("XDG_CONFIG_HOME");
  const bool set = config != environment.end() && config->second.starts_with('/');
  return (set ? config->second : home_of(environment) + "/.config") + "/systemd/user";
}

std::vector<std::string> write_schedule(Scheduler scheduler, const std::string& directory,
                                        const DailyBackup& backup, const Environment& environment) {
  std::vector<std::string> texts;
  if (scheduler == Scheduler::kLaunchd)
    texts = {launchd_text(template_text("launchd/litepull.plist", environment), backup)};
  else
    texts = {service_text(template_text("systemd/litepull.service", environment), backup),
             timer_text(template_text("systemd/litepull.timer", environment), backup)};
  std::vector<std::string> paths;
  for (const std::string& name : all_files(scheduler, backup.app)) paths.push_back(directory + "/" + name);
  for (const std::string& path : paths) require_ours(path);
  make_dirs(directory);
  for (std::size_t i = 0; i < paths.size(); ++i) replace_file(paths[i], texts[i], kUnitMode);
  return paths;
}

std::vector<std::string> remove_schedule_files(Scheduler scheduler, const std::string& directory,
                                               const std::string& app) {
  std::vector<std::string> removed;
  for (const std::string& name : all_files(scheduler, app)) {
    const std::string path = directory + "/" + name;
    require_ours(path);
    if (::unlink(path.c_str()) == 0)
      removed.push_back(path);
    else if (errno != ENOENT)
      throw_errno("remove " + path);
  }
  if (scheduler != Scheduler::kLaunchd) ::unlink(timer_link(directory, app).c_str());
  return removed;
}

// An app's name needs no quotes, but a directory may.
std::string start_command_line(Scheduler scheduler, const std::string& app, const std::string& directory) {
  if (scheduler == Scheduler::kLaunchd)
    return "launchctl bootout gui/$(id -u)/litepull." + app +
           " 2>/dev/null; launchctl bootstrap gui/$(id -u) " + cron_word(directory + "/" + agent_name(app));
  const std::string ctl = scheduler == Scheduler::kSystemdUser ? "systemctl --user" : "systemctl";
  const std::string timer = unit_name(app, ".timer");
  return ctl + " daemon-reload && " + ctl + " enable " + timer + " && " + ctl + " restart " + timer;
}

std::string stop_command_line(Scheduler scheduler, const std::string& app) {
  if (scheduler == Scheduler::kLaunchd) return "launchctl bootout gui/$(id -u)/litepull." + app;
  const std::string ctl = scheduler == Scheduler::kSystemdUser ? "systemctl --user" : "systemctl";
  return ctl + " disable --now " + unit_name(app, ".timer");
}

}  // namespace litepull
