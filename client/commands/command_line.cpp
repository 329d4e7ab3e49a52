#include "client/commands/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "client/base/console.h"
#include "client/commands/commands.h"
#include "client/commands/init_command.h"
#include "client/commands/restore_server_command.h"
#include "client/commands/schedule_command.h"
#include "client/config/projects.h"
#include "client/nightly/schedule_text.h"

namespace litepull {
namespace {

constexpr int kUsageError = 2;
constexpr int kNagiosUnknown = 3;
constexpr const char* kSnapshotWords =
    "latest, latest-verified, a name or its beginning, an index or a label of `list`";

// What all commands share while the line is read, and what is to be run in the end.
struct Line {
  CLI::App& app;
  const Environment& environment;
  std::function<int()> chosen;

  std::string variable(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() ? "" : found->second;
  }
  std::string agent_path() const { return variable("LITEPULL_AGENT"); }

  // `options` live for as long as the command may be run.
  template <typename Options>
  CLI::App& add(const std::string& name, const std::string& description,
                const std::shared_ptr<Options>& options, std::function<int(Options&)> run) {
    CLI::App* command = app.add_subcommand(name, description);
    command->callback(
        [this, options, run = std::move(run)] { chosen = [options, run] { return run(*options); }; });
    return *command;
  }
};

void add_json(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.json, "Print one JSON document (a list for several configurations)");
}

void add_quiet(CLI::App& command, CommonOptions& options, const char* but) {
  command.add_flag("-q,--quiet", options.quiet, std::string("Print nothing but ") + but);
}

void add_configs(CLI::App& command, CommonOptions& options) {
  command.add_option("CONFIG", options.configs, "Configuration files, one for each app")->required();
}

void add_config(CLI::App& command, CommonOptions& options) {
  options.configs.resize(1);
  command.add_option("CONFIG", options.configs.front(), "Configuration file of the app")->required();
}

void add_databases(CLI::App& command, std::vector<std::string>& names) {
  command.add_option("--database", names, "Only this one; may be given several times")
      ->type_name("NAME")
      ->allow_extra_args(false);
}

void add_init(Line& line) {
  auto init = std::make_shared<InitCommand>();
  init->common.environment = line.environment;
  CLI::App& command = line.add<InitCommand>(
      "init", "Write an app's configuration from what Kamal knows of it", init, init_command);
  const auto add = [&](const char* names, std::string& value, const char* about, const char* type) {
    return command.add_option(names, value, about)->type_name(type)->check([](const std::string& text) {
      return text.empty() ? "must not be empty" : "";
    });
  };
  InitFlags& flags = init->flags;
  add("--from", init->from, "Kamal's configuration (default config/deploy.yml)", "FILE");
  add("-d,--destination", flags.destination, "Kamal's destination, e.g. staging", "NAME");
  add("--app", flags.app, "Name of the app (default Kamal's service)", "NAME");
  add("--host", flags.host, "The server (default the first host of the primary role)", "HOST");
  add("--user", flags.user, "User to log in as", "USER");
  add("--port", flags.port, "Port of its SSH server", "PORT");
  add("--key", flags.key, "Private key to log in with, or none", "FILE");
  add("--proxy", flags.proxy, "Host to jump over, or none", "[USER@]HOST[:PORT]");
  add("--storage", flags.storage,
      "Where the databases are on the server: a directory, or a Docker volume's name", "DIR");
  add("--workspace", flags.workspace,
      "The directory for the app's code and snapshots (default APP-workspace around or beside the project)",
      "DIR");
  add("--backup-root", flags.backup_root, "Where to keep snapshots (default db_backups of the workspace)",
      "DIR");
  command.add_flag("--kamal", init->kamal, "Ask kamal config for what stands in ERB: it runs the Ruby there");
  command.add_flag("--hook", init->hook, "Install Kamal's pre-deploy hook, which takes a snapshot");
  add_json(command, init->common);
  command.footer(
      "What neither Kamal's configuration nor a flag tells is asked for at a terminal.\n\n"
      "Example:\n  litepull init --destination production");
}

void add_backup(Line& line) {
  auto backup = std::make_shared<BackupCommand>();
  backup->common.environment = line.environment;
  backup->options.agent_path = line.agent_path();
  CLI::App& command =
      line.add<BackupCommand>("backup", "Pull, publish, verify and prune", backup, backup_command);
  add_configs(command, backup->common);
  command
      .add_option_function<std::string>(
          "--verify", [backup](const std::string& mode) { backup->verify = parse_verify_mode(mode); },
          "full, quick, none, or strict: full, and what cannot be checked is a failure (default VERIFY)")
      ->check([](const std::string& mode) {
        return parse_verify_mode(mode) ? "" : std::string("must be ") + kVerifyModes;
      })
      ->type_name("MODE");
  command.add_flag("--full", backup->options.full, "Pull every page, also those that are at hand");
  command.add_option("--label", backup->options.label, "A word for the snapshot, e.g. pre-deploy")
      ->check([](const std::string& label) {
        return is_label(label) ? "" : "must be printable and at most 64 bytes";
      });
  command.add_flag_callback(
      "--moved", [backup] { backup->options.when_foreign = WhenForeign::kMoved; },
      "The app has moved here from where its newest snapshot came from; for one run");
  command.add_option("-j,--jobs", backup->parallel, "How many apps at once (default 2)")
      ->check(CLI::Range(1, 64));
  command.add_option("--deadline", backup->deadline_s, "Stop in order after so many seconds (default none)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 604800));
  add_quiet(command, backup->common, "warnings and errors");
  add_json(command, backup->common);
  command.add_option("--log-file", backup->common.log_file, "Append a log to this file");
  command.footer("Example:\n  litepull backup config/projects/billing.env");
}

void add_check(Line& line) {
  auto check = std::make_shared<CheckCommand>();
  check->common.environment = line.environment;
  check->agent_path = line.agent_path();
  CLI::App& command = line.add<CheckCommand>("check", "Try every step of a run without pulling anything",
                                             check, check_command);
  add_config(command, check->common);
  add_json(command, check->common);
  command.footer("Example:\n  litepull check config/projects/billing.env");
}

void add_list(Line& line) {
  auto list = std::make_shared<CommonOptions>();
  list->environment = line.environment;
  CLI::App& command = line.add<CommonOptions>("list", "Show the snapshots of an app", list, list_command);
  add_configs(command, *list);
  add_json(command, *list);
  command.footer("Example:\n  litepull list config/projects/billing.env");
}

void add_status(Line& line) {
  auto status = std::make_shared<StatusCommand>();
  status->common.environment = line.environment;
  status->projects = kProjectsDirectory;
  CLI::App& command =
      line.add<StatusCommand>("status", "Show how old the newest good snapshot is, and how the last run went",
                              status, status_command);
  CLI::App* which = command.add_option_group("Which")->require_option(1);
  which->add_option("CONFIG", status->common.configs, "Configuration files, one for each app");
  CLI::Option* all = which->add_flag("--all", status->all, "Every .env file in the projects directory");
  command
      .add_option("--projects", status->projects,
                  std::string("With --all: that directory (default ") + kProjectsDirectory + ")")
      ->type_name("DIR")
      ->needs(all);
  CLI::Option* json = command.add_flag("--json", status->common.json, "Print one JSON document");
  command.add_flag("--nagios", status->nagios, "Print one line and exit as a Nagios plugin does")
      ->excludes(json);
  command
      .add_option("--prometheus", status->prometheus_file,
                  "Write metrics to this file, for node_exporter's textfile collector (*.prom)")
      ->type_name("FILE");
  command.footer(
      "Exit codes: 6 the newest good snapshot is older than MAX_AGE_HOURS, or there is none; others as for\n"
      "backup. With --nagios: 0 OK; 1 fresh, but the last run was not good; 2 too old, or none; 3 not "
      "known.\n\n"
      "Example:\n  litepull status config/projects/billing.env");
}

void add_schedule(Line& line) {
  auto schedule = std::make_shared<ScheduleCommand>();
  schedule->environment = line.environment;
  CLI::App& command = line.add<ScheduleCommand>(
      "schedule", "Have an app backed up every day, by systemd or launchd", schedule, schedule_command);
  command.add_option("CONFIG", schedule->config, "Configuration file of the app")->required();
  CLI::App* what = command.add_option_group("What")->require_option(1);
  CLI::Option* at = what->add_option("--at", schedule->at, "The time of day, by this machine's clock")
                        ->check([](const std::string& time) {
                          return parse_time_of_day(time) ? "" : "must be a time such as 04:00";
                        })
                        ->type_name("HH:MM");
  what->add_flag("--remove", schedule->remove, "Not any more");
  what->add_flag("--show", schedule->show, "Say what is installed");
  command.add_option("--jitter", schedule->jitter_minutes, "Begin up to so many minutes later, at random")
      ->check(CLI::Range(0, 720))
      ->type_name("MINUTES")
      ->needs(at);
  CLI::Option* cron =
      command.add_flag("--print-cron", schedule->print_cron, "Only print the line for a crontab")->needs(at);
  command.add_flag("--system", schedule->system, "For root: with the system's systemd")->excludes(cron);
  command.footer("Example:\n  litepull schedule config/projects/billing.env --at 04:00");
}

void add_cleanup(Line& line) {
  auto cleanup = std::make_shared<CleanupCommand>();
  cleanup->common.environment = line.environment;
  CLI::App& command = line.add<CleanupCommand>("cleanup", "Remove snapshots that retention does not keep",
                                               cleanup, cleanup_command);
  add_configs(command, cleanup->common);
  command.add_flag("-n,--dry-run", cleanup->dry_run, "Only say what would be removed, and why");
  command.add_flag("--yes", cleanup->yes,
                   "All at once: more than half of the good ones, and after a gap, too");
  add_quiet(command, cleanup->common, "errors");
  add_json(command, cleanup->common);
  command.footer("Example:\n  litepull cleanup --dry-run config/projects/billing.env");
}

void add_verify(Line& line) {
  auto verify = std::make_shared<VerifyCommand>();
  verify->common.environment = line.environment;
  if (const std::string directory = line.variable("TMPDIR"); !directory.empty())
    verify->trial.temporary_directory = directory;
  CLI::App& command = line.add<VerifyCommand>(
      "verify", "Check a snapshot, or all, against manifest and SQLite", verify, verify_command);
  add_config(command, verify->common);
  command.add_option("SNAPSHOT", verify->snapshot, std::string("all, or (default latest) ") + kSnapshotWords);
  command.add_flag_callback(
      "--quick", [verify] { verify->depth = CheckDepth::kQuick; }, "quick_check in place of integrity_check");
  command
      .add_option("--run", verify->trial.command,
                  "Restore to a temporary directory, and run this there with sh; it fails: exit code 4")
      ->type_name("COMMAND");
  command.add_option("--run-timeout", verify->trial.timeout_s, "The longest that may take (default 600)")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("SECONDS");
  add_quiet(command, verify->common, "errors");
  add_json(command, verify->common);
  command.footer("Example:\n  litepull verify config/projects/billing.env all");
}

void add_diff(Line& line) {
  auto diff = std::make_shared<DiffCommand>();
  diff->common.environment = line.environment;
  diff->options.agent_path = line.agent_path();
  CLI::App& command = line.add<DiffCommand>("diff", "Show what changed between two snapshots, or since one",
                                            diff, diff_command);
  add_config(command, diff->common);
  command.add_option("A", diff->options.a, std::string("live, or ") + kSnapshotWords)->required();
  command.add_option("B", diff->options.b, "What A is compared with, likewise")->required();
  add_databases(command, diff->options.databases);
  command.add_option("--rows", diff->options.rows, "Show so many of the rows that differ, of each table")
      ->check(CLI::Range(0, 10'000));
  add_json(command, diff->common);
  command.footer("Example:\n  litepull diff config/projects/billing.env before-deploy live");
}

void add_open(Line& line, std::vector<std::string> shell_arguments) {
  auto open = std::make_shared<OpenCommand>();
  open->environment = line.environment;
  open->shell_arguments = std::move(shell_arguments);
  CLI::App& command = line.add<OpenCommand>("open", "Look into a snapshot's database with sqlite3, read-only",
                                            open, open_command);
  command.add_option("CONFIG", open->config, "Configuration file of the app")->required();
  command.add_option("SNAPSHOT", open->snapshot, std::string("(default latest) ") + kSnapshotWords);
  command.add_option("DATABASE", open->database,
                     "Its name; may be left out when one is alone or the main one");
  command.footer(
      "What follows -- goes to sqlite3.\n\n"
      "Example:\n  litepull open config/projects/billing.env latest -- -header 'SELECT count(*) FROM users'");
}

// To a directory here, or onto the server.
struct RestoreCommands {
  RestoreCommand here;
  RestoreServerCommand server;
  bool to_server = false;
};

int restore(RestoreCommands& restore) {
  if (!restore.to_server) return restore_command(restore.here);
  RestoreServerCommand& server = restore.server;
  server.config = restore.here.common.configs.front();
  server.common = restore.here.common;
  server.options.snapshot = restore.here.snapshot;
  server.options.databases = restore.here.choice.databases;
  return restore_server_command(server);
}

void add_restore(Line& line) {
  auto commands = std::make_shared<RestoreCommands>();
  RestoreCommand& here = commands->here;
  here.common.environment = line.environment;
  ServerRestoreOptions& server = commands->server.options;
  server.agent_path = line.agent_path();
  CLI::App& command =
      line.add<RestoreCommands>("restore", "Put a snapshot's databases back, proven", commands, restore);
  add_config(command, here.common);
  command.add_option("SNAPSHOT", here.snapshot, kSnapshotWords)->required();
  add_databases(command, here.choice.databases);
  CLI::App* where = command.add_option_group("Where to")->require_option(1);
  CLI::Option* to =
      where->add_option("--to", here.local.directory, "A directory on this machine")->type_name("DIR");
  CLI::Option* to_server =
      where->add_flag("--to-server", commands->to_server, "Onto the live databases, which are replaced");
  command.add_flag("--force", here.local.force, "Replace databases that are in DIR; the app must be stopped")
      ->needs(to);
  command
      .add_flag("--allow-failed", here.choice.allow_failed,
                "Also databases that did not pass their check, as they are")
      ->needs(to);
  command
      .add_option("--yes", commands->server.yes,
                  "Go on without asking; names the app, so that it is the right one")
      ->type_name("APP_NAME")
      ->needs(to_server);
  command.add_flag("-n,--dry-run", server.dry_run, "Only say what would be replaced")->needs(to_server);
  command
      .add_flag("!--no-safety-snapshot", server.safety_snapshot,
                "Replace what is there without a snapshot of it")
      ->needs(to_server);
  command
      .add_flag("--from-other-server", server.from_other_server,
                "Also a snapshot that came from another server or directory")
      ->needs(to_server);
  add_quiet(command, here.common, "warnings and errors");
  add_json(command, here.common);
  command.footer(
      "Exit codes with --to-server: 1 failed, nothing changed on the server; 4 some databases were restored\n"
      "and others not, or the link broke before that was known; others as for backup.\n\n"
      "Example:\n  litepull restore config/projects/billing.env latest --to /tmp/restored\n"
      "  litepull restore config/projects/billing.env latest-verified --to-server");
}

void add_pin(Line& line, const std::string& name, const std::string& description, bool pinned) {
  auto pin = std::make_shared<PinCommand>();
  pin->common.environment = line.environment;
  pin->pinned = pinned;
  CLI::App& command = line.add<PinCommand>(name, description, pin, pin_command);
  add_config(command, pin->common);
  command.add_option("SNAPSHOT", pin->snapshot, kSnapshotWords)->required();
  add_quiet(command, pin->common, "errors");
  add_json(command, pin->common);
  command.footer("Example:\n  litepull " + name + " config/projects/billing.env before-deploy");
}

// Takes what follows `--` off the command line of `open`: it is for another program, whatever it looks like.
std::vector<std::string> take_shell_arguments(int& argc, char** argv) {
  if (argc < 2 || std::string(argv[1]) != "open") return {};
  char** const end = argv + argc;
  char** const dashes = std::find(argv, end, std::string("--"));
  argc = static_cast<int>(dashes - argv);
  return dashes == end ? std::vector<std::string>{} : std::vector<std::string>(dashes + 1, end);
}

}  // namespace

bool wants_json(int argc, char** argv) {
  return std::find(argv, argv + argc, std::string("--json")) != argv + argc;
}

int run_command_line(int argc, char** argv, const Environment& environment) {
  CLI::App app("Consistent SQLite snapshots from a server into a local workspace, and back.", "litepull");
  app.set_version_flag("--version", "litepull " LITEPULL_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 failed, nothing published; 2 usage or configuration; 3 could not connect,\n"
      "authenticate or trust the host; 4 published, but a database is missing, bad or unverified, or\n"
      "what was looked at is damaged or could not be checked; 5 another run holds this app's lock;\n"
      "6 (status) the newest good snapshot is too old.\n\n"
      "Example:\n  litepull backup config/projects/billing.env");
  Line line{app, environment, {}};
  std::vector<std::string> shell_arguments = take_shell_arguments(argc, argv);
  add_init(line);
  add_check(line);
  add_backup(line);
  add_list(line);
  add_status(line);
  add_verify(line);
  add_diff(line);
  add_open(line, std::move(shell_arguments));
  add_restore(line);
  add_pin(line, "pin", "Keep a snapshot whatever its age", true);
  add_pin(line, "unpin", "Leave a snapshot to retention again", false);
  add_cleanup(line);
  add_schedule(line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    if (wants_json(argc, argv))
      print_json(nlohmann::ordered_json::array(
          {error_json("", kUsageError, Error(ErrorKind::kConfiguration, error.what()))}));
    // To Nagios a 2 would mean that backups are too old.
    const bool nagios = std::find(argv, argv + argc, std::string("--nagios")) != argv + argc;
    return nagios ? kNagiosUnknown : kUsageError;
  }
  return line.chosen();
}

}  // namespace litepull
