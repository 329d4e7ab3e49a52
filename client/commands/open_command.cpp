#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/run_program.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/config/projects.h"
#include "client/restore/source.h"
#include "client/sandbox/hostile_database.h"
#include "client/sandbox/recover.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

struct OpenCommand {
  OneAppOptions common;
  std::string snapshot = "latest";
  std::string database;                      // empty: the only one, or the main one
  std::vector<std::string> shell_arguments;  // for sqlite3
};

constexpr std::size_t kMaxShellPathBytes = 500;
constexpr std::array<std::string_view, 2> kMainNames{"production.sqlite3", "primary.sqlite3"};
#ifdef __APPLE__
constexpr const char* kInstallHint = "install it with: brew install sqlite";
#else
constexpr const char* kInstallHint = "install it with: sudo apt-get install sqlite3";
#endif

std::vector<std::string> databases_of(const Store& store, const Snapshot& snapshot) {
  if (snapshot.old_script())
    return old_script_databases(store.open_snapshot(snapshot.name).get(), store.path_of(snapshot.name));
  std::vector<std::string> names;
  for (const Manifest::Database& database : snapshot.manifest->databases)
    if (!database.error) names.push_back(database.name);
  return names;
}

// `word` is a name with or without its ending. If it is empty, the only database is meant, or the main one.
std::string choose_database(const std::vector<std::string>& names, const std::string& word,
                            const std::string& snapshot) {
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (const std::string name = database_called(names, word); !word.empty() && !name.empty()) return name;
  if (word.empty() && names.size() == 1) return names.front();
  for (const std::string_view name : kMainNames)
    if (word.empty() && has(name)) return std::string(name);
  std::string listed;
  for (const std::string& name : names) listed += (listed.empty() ? "" : ", ") + printable(name);
  throw Error(ErrorKind::kConfiguration,
              word.empty() ? snapshot + " holds " + (listed.empty() ? "no database" : listed)
                           : snapshot + " has no database " + printable(word),
              word.empty() ? "name one: litepull open CONFIG SNAPSHOT DATABASE" : "it has " + listed);
}

void warn_of(const std::string& newer) {
  if (!newer.empty()) fmt::print(stderr, "litepull: warning: {}\n", newer);
}

// What the shell opens. It must live as long as the shell runs.
struct Opened {
  std::string path;
  std::string shown;
  std::optional<WorkDir> copy;  // of an old script's database, since opening the original would change it
};

// The sqlite3 shell follows links to the real path, and has 512 bytes for it with a sidecar's ending
// (unixFullPathname in SQLite's os_unix.c). A link with a shorter name does not help.
void require_short_path(const std::string& path, const std::string& config, const std::string& snapshot) {
  const std::size_t bytes = std::filesystem::canonical(path).string().size();
  if (bytes <= kMaxShellPathBytes) return;
  throw Error(ErrorKind::kRefused,
              "the sqlite3 shell opens no path of more than " + std::to_string(kMaxShellPathBytes) +
                  " bytes, and this one has " + std::to_string(bytes),
              "restore it to a shorter one: litepull restore " + shell_path(config) + " " + snapshot +
                  " --to /tmp/restored");
}

Opened prepare(const OpenCommand& command, const Config& config, const Store& store, const Cancel& cancel) {
  const Listing listing = list_snapshots(store, config);
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const Snapshot& snapshot = select_restorable(listing, command.snapshot, now_unix_s);
  for (const std::string& newer : passed_over(listing, snapshot, command.snapshot, now_unix_s))
    warn_of(newer);
  const std::string name = choose_database(databases_of(store, snapshot), command.database, snapshot.name);
  const std::string path = store.path_of(snapshot.name);
  Opened opened{path + "/" + name, snapshot.name + "/" + name, std::nullopt};
  const Fd dir = store.open_snapshot(snapshot.name);
  open_file(dir.get(), name, path);  // throws if it is missing or a link
  if (!snapshot.old_script()) {
    require_short_path(opened.path, command.common.config, snapshot.name);
    return opened;
  }
  opened.copy.emplace(store.create_work_dir());
  recover_database(dir.get(), path, name, {opened.copy->fd(), opened.copy->path()}, cancel);
  opened.path = opened.copy->path() + "/" + name;
  require_short_path(opened.path, command.common.config, snapshot.name);
  return opened;
}

std::vector<std::string> shell_argv(const Opened& opened, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv{"sqlite3", "-readonly", "-cmd", "PRAGMA trusted_schema=OFF",
                                immutable_uri(opened.path)};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

int open_command(const OpenCommand& command) {
  const Config config = load_config(command.common.config, command.common.environment);
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  Cancel cancel;
  std::optional<Opened> opened;
  const auto error = error_of(
      [&] { while_stoppable(cancel, [&] { opened.emplace(prepare(command, config, store, cancel)); }); });
  if (error) throw with_config(*error, command.common.config);
  if (command.shell_arguments.empty() && isatty(STDIN_FILENO) != 0)
    fmt::print(stderr, "{}, read-only; .quit leaves it\n", printable(opened->shown));
  ignore_keys();
  int status = 1;
  while_stoppable(cancel, [&] {
    status = run_on_terminal(shell_argv(*opened, command.shell_arguments), kInstallHint, cancel);
  });
  return status;
}

}  // namespace

void add_open(CommandLine& line) {
  auto open = line.make<OpenCommand>();
  open->shell_arguments = line.shell_arguments;
  Options command = line.add("open", "Open a snapshot's database in sqlite3, read-only", open, open_command);
  add_config(command, open->common);
  command.add("SNAPSHOT", open->snapshot, std::string(kSnapshotWords) + " (default latest)");
  command.add("DATABASE", open->database, "Its name; not needed for the only database or the main one");
  command.footer(
      "Arguments after -- go to sqlite3.\n\n"
      "Example:\n  litepull open config/projects/billing.env latest -- -header 'SELECT count(*) FROM users'");
}

}  // namespace litepull
