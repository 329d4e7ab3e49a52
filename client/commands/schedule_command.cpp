#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "client/base/own_program.h"
#include "client/base/run_program.h"
#include "client/commands/commands.h"
#include "client/config/config.h"
#include "client/nightly/schedule.h"
#include "common/error.h"

namespace litepull {
namespace {

struct ScheduleCommand {
  OneAppOptions common;
  std::string at;  // as parse_time_of_day takes it; empty with `remove` and `show`
  int jitter_minutes = 0;
  bool remove = false;
  bool show = false;
  bool print_cron = false;
  bool system = false;
};

constexpr double kSchedulerSeconds = 60;

// Runs a command line of the system's scheduler, as a user could type it.
CommandRun ask(const std::string& command) {
  std::signal(SIGPIPE, SIG_IGN);
  const Cancel never;
  return run_command(
      {command, "/", {}, kSchedulerSeconds}, [](std::string_view) {}, never);
}

std::string first_line(const std::string& text) {
  return printable(text.substr(0, text.find('\n')));
}

// What a scheduled run has: HOME, and none of the variables of a login shell.
Environment bare_environment(const Environment& environment) {
  Environment bare;
  if (const auto home = environment.find("HOME"); home != environment.end()) bare["HOME"] = home->second;
  return bare;
}

Config load_for_schedule(const ScheduleCommand& command) {
  load_config(command.common.config,
              command.common.environment);  // errors that have nothing to do with the schedule come first
  try {
    return load_config(command.common.config, bare_environment(command.common.environment));
  } catch (const Error& error) {
    throw Error(error.kind(), error.message() + " (a scheduled run has no variable of your shell but HOME)",
                "write the value into the file");
  }
}

std::string absolute_path(const std::string& path, const char* what) {
  const std::string absolute = std::filesystem::absolute(path).lexically_normal().string();
  if (!is_clean_utf8(absolute))
    throw Error(ErrorKind::kConfiguration,
                std::string(what) + " " + printable(absolute) +
                    " has control characters, or is not UTF-8, and cannot be scheduled",
                "rename it");
  return absolute;
}

DailyBackup backup_of(const ScheduleCommand& command, const Config& config) {
  DailyBackup backup;
  backup.app = config.app_name;
  backup.program = absolute_path(own_program_file(), "the program");
  backup.config = absolute_path(config.file, "the configuration");
  if (const auto home = command.common.environment.find("HOME"); home != command.common.environment.end())
    backup.home = absolute_path(home->second, "HOME");
  backup.log = backup.home + "/Library/Logs/litepull-" + config.app_name + ".log";
  backup.at = *parse_time_of_day(command.at);
  backup.jitter_minutes = command.jitter_minutes;
  return backup;
}

void warn(const std::string& text, const std::string& hint) {
  fmt::print(stderr, "litepull: warning: {}\n  {}\n", text, hint);
}

void warn_of_key(const Config& config) {
  if (config.transport == Transport::kSsh && !config.ssh_key)
    warn("SSH_KEY is not set, and a scheduled run finds no SSH agent",
         "unless a key without a passphrase is in ~/.ssh, set SSH_KEY to one that the server knows");
}

// A user's systemd ends with the last session unless the user lingers. For a user that it does not know,
// loginctl prints an error instead of "no".
void warn_of_lingering() {
  const CommandRun run =
      ask("loginctl show-user " + std::to_string(::geteuid()) + " --property=Linger --value");
  if (run.status == 127 || first_line(run.last_lines) == "yes") return;
  warn("lingering is not on: the timer runs only while you are logged in", "type: loginctl enable-linger");
}

std::string log_words(Scheduler scheduler, const DailyBackup& backup) {
  if (scheduler == Scheduler::kLaunchd) return backup.log;
  return std::string("journalctl ") + (scheduler == Scheduler::kSystemdUser ? "--user " : "") +
         "-u litepull-" + backup.app;
}

void start(Scheduler scheduler, const std::string& directory, const DailyBackup& backup) {
  const std::string line = start_command_line(scheduler, backup.app, directory);
  const CommandRun run = ask(line);
  if (run.status == 0) return;
  throw Error(ErrorKind::kFailed,
              "the files are written to " + directory + ", but " + scheduler_text(scheduler) +
                  " did not accept them, so nothing is scheduled: " + first_line(run.last_lines),
              "in a session where it runs, type: " + line +
                  "\n  or add this line with crontab -e: " + cron_line(backup));
}

int install(const ScheduleCommand& command, const Config& config) {
  const Scheduler scheduler = scheduler_here(command.system);
  const std::string directory = schedule_directory(scheduler, command.common.environment);
  const DailyBackup backup = backup_of(command, config);
  if (scheduler == Scheduler::kLaunchd && backup.jitter_minutes > 0)
    throw Error(ErrorKind::kConfiguration, "launchd has no random delay", "leave --jitter out");
  if (backup.home.empty()) throw Error(ErrorKind::kConfiguration, "HOME is not set", "set HOME");
  warn_of_key(config);
  const auto files = write_schedule(scheduler, directory, backup, command.common.environment);
  start(scheduler, directory, backup);
  fmt::print("{}: a backup every day at {}{}, by {}\n", backup.app, time_text(backup.at),
             backup.jitter_minutes > 0 ? fmt::format(" or up to {} min later", backup.jitter_minutes) : "",
             scheduler_text(scheduler));
  for (const std::string& file : files) fmt::print("  {}\n", printable(file));
  fmt::print("  its output: {}\n", log_words(scheduler, backup));
  if (scheduler == Scheduler::kSystemdUser) warn_of_lingering();
  return 0;
}

int print_cron(const ScheduleCommand& command, const Config& config) {
  if (command.jitter_minutes > 0)
    throw Error(ErrorKind::kConfiguration, "cron has no random delay",
                "leave --jitter out, and give each app a time of its own");
  warn_of_key(config);
  fmt::print("{}\n", cron_line(backup_of(command, config)));
  return 0;
}

int remove(const ScheduleCommand& command, const std::string& app) {
  const Scheduler scheduler = scheduler_here(command.system);
  const std::string directory = schedule_directory(scheduler, command.common.environment);
  const auto state = installed_schedule(app, command.common.environment);
  const bool running = state && state->scheduler == scheduler;
  const CommandRun stopped = running ? ask(stop_command_line(scheduler, app)) : CommandRun{};
  const auto removed = remove_schedule_files(scheduler, directory, app);
  if (removed.empty()) {
    fmt::print("{}: nothing was scheduled with {}\n", app, scheduler_text(scheduler));
    return 0;
  }
  if (stopped.status != 0)
    warn(scheduler_text(scheduler) + " could not be told: " + first_line(stopped.last_lines),
         "if it runs in another session, type there: " + stop_command_line(scheduler, app));
  else if (scheduler != Scheduler::kLaunchd)
    ask(scheduler == Scheduler::kSystemdUser ? "systemctl --user daemon-reload" : "systemctl daemon-reload");
  fmt::print("{}: not scheduled any more; removed\n", app);
  for (const std::string& file : removed) fmt::print("  {}\n", printable(file));
  return 0;
}

std::string next_run(const ScheduleState& state, const std::string& app) {
  if (state.scheduler == Scheduler::kLaunchd) return "";
  const CommandRun run =
      ask(std::string("systemctl ") + (state.scheduler == Scheduler::kSystemdUser ? "--user " : "") +
          "show litepull-" + app + ".timer --property=NextElapseUSecRealtime --value");
  return run.status == 0 ? first_line(run.last_lines) : "";
}

int show(const ScheduleCommand& command, const std::string& app) {
  const auto state = installed_schedule(app, command.common.environment);
  if (!state) {
    fmt::print("{}: not scheduled with litepull schedule\n", app);
    return 0;
  }
  fmt::print("{}: every day at {}, by {}{}\n  {}\n", app,
             state->at ? time_text(*state->at) : "a time that was set by hand",
             scheduler_text(state->scheduler), state->enabled ? "" : "; NOT ENABLED, so it does not run",
             printable(state->file));
  if (const std::string next = next_run(*state, app); !next.empty()) fmt::print("  next: {}\n", next);
  return 0;
}

void require_root(const ScheduleCommand& command) {
  if (command.system && !command.show && ::geteuid() != 0)
    throw Error(ErrorKind::kConfiguration, "--system is for root",
                "type it with sudo, or leave --system out for a timer of your own");
}

int schedule_command(const ScheduleCommand& command) {
  require_root(command);
  if (command.show || command.remove) {
    const std::string app = load_config(command.common.config, command.common.environment).app_name;
    return command.show ? show(command, app) : remove(command, app);
  }
  const Config config = load_for_schedule(command);
  return command.print_cron ? print_cron(command, config) : install(command, config);
}

}  // namespace

void add_schedule(CommandLine& line) {
  auto schedule = line.make<ScheduleCommand>();
  Options command =
      line.add("schedule", "Back up an app every day, by systemd or launchd", schedule, schedule_command);
  add_config(command, schedule->common);
  Options what = command.one_of("What", "--at 04:00");
  const Option at = what.add("--at", schedule->at, "Time of day, by this machine's clock")
                        .check([](const std::string& time) {
                          return parse_time_of_day(time) ? "" : "must be a time such as 04:00";
                        })
                        .type_name("HH:MM");
  what.flag("--remove", schedule->remove, "Remove the schedule");
  what.flag("--show", schedule->show, "Show what is installed");
  command.add("--jitter", schedule->jitter_minutes, "Begin up to this many minutes later, at random")
      .range(0, 720)
      .type_name("MINUTES")
      .needs(at);
  const Option cron =
      command.flag("--print-cron", schedule->print_cron, "Only print the line for a crontab").needs(at);
  command.flag("--system", schedule->system, "As root: use the system's systemd").excludes(cron);
  command.footer("Example:\n  litepull schedule config/projects/billing.env --at 04:00");
}

}  // namespace litepull
