#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/base/output.h"
#include "client/base/terminal.h"
#include "client/base/whole_file.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/path_text.h"
#include "client/config/share_files.h"
#include "client/init/kamal_answer.h"
#include "client/init/plan.h"
#include "client/keys/openssh_config.h"
#include "client/store/git_ignore.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

struct InitCommand {
  CommonOptions common;
  std::string from = "config/deploy.yml";
  InitFlags flags;
  bool kamal = false;  // asks Kamal itself, which runs the Ruby in its files
  bool hook = false;   // also installs Kamal's pre-deploy hook
};

namespace fs = std::filesystem;

constexpr std::size_t kMaxReadBytes = 16 << 20;  // a larger file is refused before it is read
constexpr std::size_t kMaxHookBytes = 1 << 20;
constexpr mode_t kHookMode = 0755;
constexpr const char* kHook = "pre-deploy";

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, what, hint);
}

std::string joined(const std::string& directory, const std::string& name) {
  return directory == "." ? name : directory + "/" + name;
}

// The directory that Kamal runs in, which is the one above `config` if its file is there. As a person sees
// it: "." or as it was typed.
std::string project_of(const std::string& from) {
  const std::string directory = parent_of(from);
  return fs::path(directory).filename() == "config" ? parent_of(directory) : ".";
}

std::string absolute(const std::string& path) {
  const std::string whole = fs::absolute(path).lexically_normal().string();
  return whole.size() > 1 && whole.ends_with('/') ? whole.substr(0, whole.size() - 1) : whole;
}

void make_absolute(std::string& path) {
  if (!path.empty() && !path.starts_with("~/")) path = absolute(path);
}

// Empty if the configuration names no user: `ssh -G` then names the user of this machine.
std::string user_in_ssh_config(const std::string& file, const std::string& host) {
  OpenSshHost found;
  const auto error = error_of([&] {
    Cancel cancel;
    while_stoppable(cancel, [&] { found = ask_openssh({file, host, "", std::nullopt}, cancel); });
  });
  if (error && (error->kind() == ErrorKind::kCancelled || error->kind() == ErrorKind::kInterrupted))
    throw Error(*error);
  const passwd* self = ::getpwuid(::geteuid());
  return error || self == nullptr || found.user == self->pw_name ? "" : found.user;
}

// config/deploy.yml and mars: config/deploy.mars.yml.
std::string destination_file(const std::string& from, const std::string& destination) {
  return fs::path(from).replace_extension("." + destination + ".yml").string();
}

std::vector<std::string> destinations_beside(const std::string& from) {
  const std::string stem = fs::path(from).stem().string() + ".";
  const std::string directory = parent_of(from);
  if (!is_taken(directory)) return {};
  std::vector<std::string> found;
  for (const std::string& name : names_in(open_path(directory, O_RDONLY | O_DIRECTORY).get(), directory))
    if (name.starts_with(stem) && name.ends_with(".yml") && name.size() > stem.size() + 4)
      found.push_back(printable(name.substr(stem.size(), name.size() - stem.size() - 4)));
  return found;
}

KamalText read_text(const std::string& path, const std::string& hint) {
  if (!is_taken(path)) refuse(printable(path) + ": there is no such file", hint);
  return {printable(path), read_file(path, kMaxReadBytes)};
}

KamalApp read_app(const InitCommand& command, const std::vector<std::string>& destinations) {
  const KamalText base =
      read_text(command.from,
                "run this in the app's directory, or name Kamal's configuration with --from FILE; without "
                "Kamal write config/projects/APP.env by hand, as the README shows");
  const std::string& destination = command.flags.destination;
  if (destination.empty()) return read_kamal(base, std::nullopt);
  if (destination.find('/') != std::string::npos)
    refuse("--destination is a name, not a path", "for config/deploy.staging.yml: --destination staging");
  const std::string hint = destinations.empty()
                               ? "leave out --destination"
                               : fmt::format("there is --destination {}", fmt::join(destinations, " or "));
  return read_kamal(base, read_text(destination_file(command.from, destination), hint));
}

// The databases that Rails' own file names. Returns none if there is no such file, or if it cannot be read,
// which `unread` then explains. The usual place of the databases is assumed in both cases.
std::vector<RailsDatabase> read_databases(const std::string& path, const KamalApp& app, std::string& unread) {
  if (!is_taken(path)) return {};
  std::vector<RailsDatabase> found;
  const auto error = error_of([&] {
    found = read_database_yml({printable(path), read_file(path, kMaxReadBytes)}, app.environment);
  });
  if (error) unread = error->message() + "; check that DATABASES covers what the app uses";
  return found;
}

// Ctrl-C ends Kamal too.
KamalApp asked_kamal(KamalApp app, const InitCommand& command, const std::string& project) {
  Cancel cancel;
  std::string answer;
  while_stoppable(cancel, [&] {
    answer = ask_kamal(absolute(project), absolute(command.from), command.flags.destination, cancel);
  });
  return with_answer(std::move(app), answer);
}

// --- the hook --------------------------------------------------------------------------------------------

struct Hook {
  std::string path;     // where to install it
  std::string content;  // empty: do not install it
};

std::string hook_path(const KamalApp& app, const std::string& project) {
  if (app.hooks_path.said() && !app.hooks_path.known())
    refuse(app.hooks_path.where + ": only Ruby knows what hooks_path, " + printable(app.hooks_path.text) +
               ", is",
           "leave out --hook, and copy the hook there by hand");
  const std::string directory = app.hooks_path.known() ? app.hooks_path.text : ".kamal/hooks";
  return joined(directory.starts_with('/') ? directory : joined(project, directory), kHook);
}

Hook required_hook(const KamalApp& app, const std::string& project, const Environment& environment) {
  Hook hook{hook_path(app, project), ""};
  const std::string source = find_share_file(std::string("kamal/") + kHook, environment);
  if (is_taken(hook.path))
    refuse(printable(hook.path) + " is there already, and is not overwritten",
           "add to it what " + source + " does, and leave out --hook");
  hook.content = read_file(source, kMaxHookBytes);
  return hook;
}

bool is_yes(const std::string& answer) {
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Asks at the terminal, unless there is a hook already or the file for it cannot be found.
Hook offered_hook(const KamalApp& app, const std::string& project, const Environment& environment) {
  Hook hook;
  const auto error = error_of([&] { hook = required_hook(app, project, environment); });
  if (error) return {};
  fmt::print(stderr, "Take a snapshot before each kamal deploy, by {}? [y/N] ", printable(hook.path));
  std::fflush(stderr);
  if (!is_yes(read_typed(Cancel()).value_or(""))) hook.content.clear();
  return hook;
}

// --- asking and telling ----------------------------------------------------------------------------------

std::string ask_at_terminal(const Question& question) {
  for (;;) {
    if (!question.why.empty()) fmt::print(stderr, "  {}\n", question.why);
    fmt::print(stderr, "{}{}: ", question.about,
               question.suggestion.empty() ? "" : " [" + question.suggestion + "]");
    std::fflush(stderr);
    const std::optional<std::string> typed = read_typed(Cancel());
    if (!typed)
      refuse("no answer; nothing was written", "run it again, or see litepull init --help for the flags");
    if (!typed->empty()) return *typed;
    if (!question.suggestion.empty()) return question.suggestion;
  }
}

// Whether a configuration is to be written. One that is there already is kept when only the hook is wanted.
bool require_free(const std::string& path, bool hook_will_do) {
  if (!is_taken(path)) return true;
  if (hook_will_do && fs::is_regular_file(path)) return false;
  refuse(printable(path) + " is there already, and is not overwritten",
         "go on with it: litepull check " + shell_path(path) +
             "; or give another name with --app NAME, or remove it first");
}

std::string snapshots_dir(const ProjectEnv& env) {
  const std::string& root = env.backup_root;
  return (is_whole_path(root) ? "" : env.workspace_dir + "/") + root + "/" + env.app_name;
}

void print_kept(const std::string& app, const std::string& path, const Hook& hook) {
  fmt::print("{}: installed {}\n", app, printable(hook.path));
  fmt::print("  {} is there already, and is kept as it is\n", printable(path));
  fmt::print("Next:\n  litepull check {}\n", shell_path(path));
}

void print(const InitPlan& plan, const std::string& path, const Hook& hook) {
  const ProjectEnv& env = plan.env;
  if (!plan.is_new) return print_kept(env.app_name, path, hook);
  fmt::print("{}: wrote {}\n", env.app_name, printable(path));
  fmt::print("  databases in {}{}:{}{}\n", env.user.empty() ? "" : env.user + "@", env.host,
             printable(env.storage), env.port.empty() ? "" : ", SSH port " + env.port);
  if (!env.storage_is.empty()) fmt::print("    {}\n", printable(env.storage_is));
  fmt::print("  snapshots in {} ({})\n", printable(snapshots_dir(env)), plan.workspace_why);
  if (!hook.content.empty()) fmt::print("  installed {}\n", printable(hook.path));
  for (const std::string& note : plan.notes) fmt::print("  note: {}\n", note);
  fmt::print("Next:\n  litepull check {}\n", shell_path(path));
}

void print_document(const InitPlan& plan, const std::string& path, const Hook& hook) {
  nlohmann::ordered_json out{
      {"app", plan.env.app_name}, {"exit_code", 0}, {"config", path}, {"hook", nullptr}};
  if (!hook.content.empty()) out["hook"] = hook.path;
  out["kept"] = !plan.is_new;  // the configuration was there already
  out["notes"] = plan.notes;
  out["workspace"] = plan.env.workspace_dir;
  out["workspace_why"] = plan.workspace_why;
  out["next"] = "litepull check " + shell_path(path);
  print_json(nlohmann::ordered_json::array({out}));
}

int init_command(const InitCommand& command) {
  const Environment& environment = command.common.environment;
  const std::string project = project_of(command.from);
  const auto path_of = [&](const std::string& app) {
    return joined(project, "config/projects/" + app + ".env");
  };
  InitSources sources{printable(command.from), absolute(project), destinations_beside(command.from), {}, {},
                      command.kamal,           user_in_ssh_config};
  sources.app_chosen = [&](const std::string& app) { return require_free(path_of(app), command.hook); };

  KamalApp app = read_app(command, sources.destinations);
  if (command.kamal) app = asked_kamal(std::move(app), command, project);
  std::string unread;
  sources.databases = read_databases(joined(project, "config/database.yml"), app, unread);
  Hook hook;
  if (command.hook) hook = required_hook(app, project, environment);
  InitFlags flags = command.flags;
  if (flags.key != "none") make_absolute(flags.key);
  make_absolute(flags.workspace);
  const Ask ask = can_ask() ? Ask(ask_at_terminal) : Ask();
  InitPlan plan = plan_init(app, flags, sources, ask, environment);
  if (plan.is_new && !unread.empty()) plan.notes.push_back(unread);
  if (ask && !command.hook) hook = offered_hook(app, project, environment);

  const std::string path = path_of(plan.env.app_name);
  const auto home = environment.find("HOME");
  if (plan.is_new) {
    keep_out_of_git(parent_of(path), "*.env");
    write_new_file(path, render_env(plan.env, home == environment.end() ? "" : home->second), kFileMode);
  }
  if (!hook.content.empty()) write_new_file(hook.path, hook.content, kHookMode);
  if (command.common.json)
    print_document(plan, path, hook);
  else
    print(plan, path, hook);
  return 0;
}

}  // namespace

void add_init(CommandLine& line) {
  auto init = line.make<InitCommand>();
  Options command =
      line.add("init", "Write an app's configuration from what Kamal knows about it", init, init_command);
  const auto add = [&](const char* names, std::string& value, const char* about, const char* type) {
    return command.add(names, value, about).type_name(type).check([](const std::string& text) {
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
      "Where the databases are on the server: a directory, or the name of a Docker volume", "DIR");
  add("--workspace", flags.workspace,
      "The directory for the app's code and snapshots (default APP-workspace around or beside the project)",
      "DIR");
  add("--backup-root", flags.backup_root, "Where to keep snapshots (default db_backups of the workspace)",
      "DIR");
  command.flag("--kamal", init->kamal, "Get values in ERB from `kamal config`, which runs the Ruby in them");
  command.flag(
      "--hook", init->hook,
      "Install a pre-deploy hook for Kamal that takes a snapshot; keeps a configuration that is there");
  add_json(command, init->common);
  command.footer(
      "At a terminal, init asks for what neither Kamal's configuration nor a flag says.\n\n"
      "Example:\n  litepull init --destination production");
}

}  // namespace litepull
