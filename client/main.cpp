// litepull: consistent SQLite snapshots from a server into a local workspace. This file knows the command
// line; client/commands.h knows what the commands do.
#include <fcntl.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/commands.h"
#include "client/console.h"
#include "client/hidden_commands.h"
#include "client/restore_server_command.h"

extern char** environ;

namespace litepull {
namespace {

constexpr int kUsageError = 2;

Environment read_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (const auto at = text.find('='); at != std::string::npos)
      environment[text.substr(0, at)] = text.substr(at + 1);
  }
  return environment;
}

void add_common(CLI::App& command, CommonOptions& options) {
  command.add_option("CONFIG", options.configs, "Configuration files, one for each app")->required();
  command.add_flag("--json", options.json, "Print one JSON document (a list for several configurations)");
}

void add_backup(CLI::App& app, BackupCommand& backup) {
  CLI::App* command = app.add_subcommand("backup", "Pull, publish, verify and prune");
  add_common(*command, backup.common);
  static const std::map<std::string, VerifyMode> kModes{
      {"full", VerifyMode::kFull}, {"quick", VerifyMode::kQuick}, {"none", VerifyMode::kNone}};
  command
      ->add_option_function<std::string>(
          "--verify", [&backup](const std::string& mode) { backup.options.verify = kModes.at(mode); },
          "full (default), quick or none")
      ->check(
          [](const std::string& mode) { return kModes.contains(mode) ? "" : "must be full, quick or none"; })
      ->type_name("MODE");
  command->add_flag("--full", backup.options.full, "Pull every page, also those that are at hand");
  command->add_option("--label", backup.options.label, "A word for the snapshot, e.g. before-deploy")
      ->check([](const std::string& label) {
        return is_label(label) ? "" : "must be printable and at most 64 bytes";
      });
  command->add_option("-j,--jobs", backup.parallel, "How many apps at once (default 2)")
      ->check(CLI::Range(1, 64));
  command->add_flag("-q,--quiet", backup.common.quiet, "Print nothing but warnings and errors");
  command->add_option("--log-file", backup.common.log_file, "Append a log to this file");
  command->footer("Example:\n  litepull backup config/projects/billing.env");
}

void add_list(CLI::App& app, CommonOptions& list) {
  CLI::App* command = app.add_subcommand("list", "Show the snapshots of an app");
  add_common(*command, list);
  command->footer("Example:\n  litepull list config/projects/billing.env");
}

void add_cleanup(CLI::App& app, CleanupCommand& cleanup) {
  CLI::App* command = app.add_subcommand("cleanup", "Remove snapshots that retention does not keep");
  add_common(*command, cleanup.common);
  command->add_flag("-n,--dry-run", cleanup.dry_run, "Only say what would be removed, and why");
  command->add_flag("-q,--quiet", cleanup.common.quiet, "Print nothing but errors");
  command->footer("Example:\n  litepull cleanup --dry-run config/projects/billing.env");
}

// One configuration, and a word for a snapshot.
CLI::Option* add_one_snapshot(CLI::App& command, CommonOptions& options, std::string& snapshot) {
  options.configs.resize(1);
  command.add_option("CONFIG", options.configs[0], "Configuration file of the app")->required();
  command.add_flag("--json", options.json, "Print one JSON document");
  command.add_flag("-q,--quiet", options.quiet, "Print nothing but errors");
  return command.add_option(
      "SNAPSHOT", snapshot,
      "latest, latest-verified, a name or its beginning, an index or a label of `list`");
}

void add_pin(CLI::App& app, const std::string& name, const std::string& description, PinCommand& pin) {
  CLI::App* command = app.add_subcommand(name, description);
  add_one_snapshot(*command, pin.common, pin.snapshot)->required();
  command->footer("Example:\n  litepull " + name + " config/projects/billing.env before-deploy");
}

void add_verify(CLI::App& app, VerifyCommand& verify) {
  CLI::App* command = app.add_subcommand("verify", "Check a snapshot, or all, against manifest and SQLite");
  add_one_snapshot(*command, verify.common, verify.snapshot)
      ->description(
          "latest (default), latest-verified, all, a name or its beginning, an index or a label of `list`");
  command->add_flag_callback(
      "--quick", [&verify] { verify.depth = CheckDepth::kQuick; }, "quick_check in place of integrity_check");
  command
      ->add_option("--run", verify.trial.command,
                   "Restore to a temporary directory, and run this there with sh; it fails: exit code 4")
      ->type_name("COMMAND");
  command->add_option("--run-timeout", verify.trial.timeout_s, "The longest that may take (default 600)")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("SECONDS");
  command->footer("Example:\n  litepull verify config/projects/billing.env all");
}

// To a directory here, or onto the server.
struct RestoreCommands {
  RestoreCommand here;
  RestoreServerCommand server;
  bool to_server = false;
};

void add_restore(CLI::App& app, RestoreCommands& restore) {
  CLI::App* command = app.add_subcommand("restore", "Put a snapshot's databases back, proven");
  add_one_snapshot(*command, restore.here.common, restore.here.snapshot)->required();
  command
      ->add_option("--database", restore.here.choice.databases, "Only this one; may be given several times")
      ->type_name("NAME")
      ->allow_extra_args(false);
  CLI::App* where = command->add_option_group("Where to")->require_option(1);
  CLI::Option* directory =
      where->add_option("--to", restore.here.local.directory, "A directory on this machine")
          ->type_name("DIR");
  CLI::Option* server =
      where->add_flag("--to-server", restore.to_server, "Onto the live databases, which are replaced");
  command
      ->add_flag("--force", restore.here.local.force,
                 "Replace databases that are in DIR; the app must be stopped")
      ->needs(directory);
  command
      ->add_flag("--allow-failed", restore.here.choice.allow_failed,
                 "Also databases that did not pass their check, as they are")
      ->needs(directory);
  command
      ->add_option("--yes", restore.server.yes,
                   "Go on without asking; names the app, so that it is the right one")
      ->type_name("APP_NAME")
      ->needs(server);
  command->add_flag("-n,--dry-run", restore.server.options.dry_run, "Only say what would be replaced")
      ->needs(server);
  command
      ->add_flag("!--no-safety-snapshot", restore.server.options.safety_snapshot,
                 "Replace what is there without a snapshot of it")
      ->needs(server);
  command->footer(
      "Exit codes with --to-server: 1 failed, nothing changed on the server; 4 some databases were restored\n"
      "and others not, or the link broke before that was known; others as for backup.\n\n"
      "Examples:\n  litepull restore config/projects/billing.env latest --to /tmp/restored\n"
      "  litepull restore config/projects/billing.env latest-verified --to-server");
}

int restore(RestoreCommands& restore, const std::string& agent_path) {
  if (!restore.to_server) return restore_command(restore.here);
  RestoreServerCommand& server = restore.server;
  server.config = restore.here.common.configs.front();
  server.common = restore.here.common;
  server.options.snapshot = restore.here.snapshot;
  server.options.databases = restore.here.choice.databases;
  server.options.agent_path = agent_path;
  return restore_server_command(server);
}

void add_open(CLI::App& app, OpenCommand& open) {
  CLI::App* command = app.add_subcommand("open", "Look into a snapshot's database with sqlite3, read-only");
  command->add_option("CONFIG", open.config, "Configuration file of the app")->required();
  command->add_option("SNAPSHOT", open.snapshot, "As for restore (default latest)");
  command->add_option("DATABASE", open.database,
                      "Its name; may be left out when one is alone or the main one");
  command->footer(
      "What follows -- goes to sqlite3.\n\n"
      "Example:\n  litepull open config/projects/billing.env latest -- -header 'SELECT count(*) FROM users'");
}

// Takes what follows `--` off the command line of `open`: it is for another program, whatever it looks like.
std::vector<std::string> take_shell_arguments(int& argc, char** argv) {
  if (argc < 2 || std::string(argv[1]) != "open") return {};
  char** const end = argv + argc;
  char** const dashes = std::find(argv, end, std::string("--"));
  argc = static_cast<int>(dashes - argv);
  return dashes == end ? std::vector<std::string>{} : std::vector<std::string>(dashes + 1, end);
}

bool wants_json(int argc, char** argv) {
  return std::find(argv, argv + argc, std::string("--json")) != argv + argc;
}

int run(int argc, char** argv) {
  CLI::App app("Consistent SQLite snapshots from a server into a local workspace.", "litepull");
  app.set_version_flag("--version", "litepull " LITEPULL_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 failed, nothing published; 2 usage or configuration; 3 could not connect,\n"
      "authenticate or trust the host; 4 published, but a database is missing, bad or unverified, and what\n"
      "`verify` finds damaged or cannot check;\n"
      "5 another run holds this app's lock.\n\nExample:\n  litepull backup config/projects/billing.env");
  BackupCommand backup;
  CommonOptions list;
  CleanupCommand cleanup;
  PinCommand pin, unpin;
  unpin.pinned = false;
  VerifyCommand verify;
  add_backup(app, backup);
  add_list(app, list);
  add_cleanup(app, cleanup);
  add_pin(app, "pin", "Keep a snapshot whatever its age", pin);
  add_pin(app, "unpin", "Leave a snapshot to retention again", unpin);
  add_verify(app, verify);
  RestoreCommands restore_to;
  add_restore(app, restore_to);
  OpenCommand open;
  open.shell_arguments = take_shell_arguments(argc, argv);
  add_open(app, open);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    if (wants_json(argc, argv))
      print_json(nlohmann::ordered_json::array(
          {error_json("", kUsageError, Error(ErrorKind::kConfiguration, error.what()))}));
    return kUsageError;
  }
  const Environment environment = read_environment();
  backup.common.environment = list.environment = cleanup.common.environment = environment;
  pin.common.environment = unpin.common.environment = environment;
  verify.common.environment = environment;
  if (const auto found = environment.find("LITEPULL_AGENT"); found != environment.end())
    backup.options.agent_path = found->second;
  if (const auto found = environment.find("TMPDIR"); found != environment.end() && !found->second.empty())
    verify.trial.temporary_directory = found->second;
  if (app.got_subcommand("backup")) return backup_command(backup);
  if (app.got_subcommand("list")) return list_command(list);
  if (app.got_subcommand("verify")) return verify_command(verify);
  if (app.got_subcommand("pin")) return pin_command(pin);
  if (app.got_subcommand("unpin")) return pin_command(unpin);
  restore_to.here.common.environment = open.environment = environment;
  if (app.got_subcommand("restore")) return restore(restore_to, backup.options.agent_path);
  if (app.got_subcommand("open")) return open_command(open);
  return cleanup_command(cleanup);
}

}  // namespace
}  // namespace litepull

// Descriptors 0, 1 and 2 that are closed would be given to the next files that are opened, and what is meant
// for stderr would land in them.
static void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

// A result that could not be printed was not delivered.
static int with_printed_output(int code) {
  const bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!printed) std::fprintf(stderr, "litepull: error: the result could not be written to stdout\n");
  return printed || code != 0 ? code : 1;
}

int main(int argc, char** argv) {
  open_standard_descriptors();
  umask(077);
  if (const auto inner = litepull::run_hidden_command({argv + std::min(argc, 1), argv + argc})) return *inner;
  int code = 1;
  const auto error = litepull::error_of([&] { code = litepull::run(argc, argv); });
  if (!error) return with_printed_output(code);
  code = litepull::exit_code_of(error->kind());
  std::fprintf(stderr, "litepull: error: %s\n", litepull::describe(*error).c_str());
  if (litepull::wants_json(argc, argv))
    litepull::print_json(nlohmann::ordered_json::array({litepull::error_json("", code, *error)}));
  return with_printed_output(code);
}
