#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/jobs.h"
#include "client/base/output.h"
#include "client/base/whole_file.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/config/projects.h"
#include "client/nightly/status_text.h"

namespace litepull {
namespace {

struct StatusCommand {
  ManyAppsOptions common;
  bool all = false;  // all in `projects`, instead of `common.configs`
  std::string projects;
  bool nagios = false;          // the exit code is then Nagios's too
  std::string prometheus_file;  // empty: none
};

// node_exporter must be able to read the file, and it holds no secret.
constexpr mode_t kReadableByAll = 0644;

StatusEntry entry_of(const std::string& file, const Environment& environment, std::optional<Config>& config) {
  StatusEntry entry;
  entry.name = printable(file);
  entry.config = std::filesystem::absolute(config_file(file)).lexically_normal().string();
  entry.error = error_of([&] {
    config = load_config(file, environment);
    entry.name = config->app_name;
    entry.status = status_of(*config, unix_ms_now() / 1000);
    for (std::string& note : entry.status->notes) note = with_config(note, config->file);
  });
  entry.exit_code = entry.error ? exit_code_of(entry.error->kind()) : exit_code(*entry.status);
  return entry;
}

// Adds a note to both of two apps that keep their snapshots in one directory.
void note_shared(std::vector<StatusEntry>& entries, const std::vector<std::optional<Config>>& configs) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    for (std::size_t j = 0; j < entries.size(); ++j) {
      if (i == j || !configs[i] || !configs[j] || !entries[i].status) continue;
      const SharedDirectory shared = shared_directory(*configs[i], *configs[j]);
      if (!shared.text.empty()) entries[i].status->notes.push_back(shared.text);
    }
}

// An error in the configuration itself names the file.
void print_errors(const std::vector<StatusEntry>& entries,
                  const std::vector<std::optional<Config>>& configs) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].error)
      fmt::print(stderr, "litepull: error: {}{}\n", configs[i] ? entries[i].name + ": " : "",
                 describe(*entries[i].error));
}

int print_nagios(const std::vector<StatusEntry>& entries) {
  const NagiosReport report = nagios_report(entries);
  fmt::print("{}\n", report.line);
  return static_cast<int>(report.state);
}

int show(const std::vector<StatusEntry>& entries, const StatusCommand& command) {
  if (command.nagios) return print_nagios(entries);
  if (command.common.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const StatusEntry& entry : entries) all.push_back(status_json(entry));
    print_json(all);
  } else if (command.prometheus_file.empty()) {
    fmt::print("{}", status_table(entries));
  }
  std::vector<int> codes;
  for (const StatusEntry& entry : entries) codes.push_back(entry.exit_code);
  return worst_exit_code(codes);
}

int run(const StatusCommand& command) {
  std::vector<StatusEntry> entries;
  std::vector<std::optional<Config>> configs;
  for (const std::string& file : command.all ? configs_in(command.projects) : command.common.configs)
    entries.push_back(entry_of(file, command.common.environment, configs.emplace_back()));
  note_shared(entries, configs);
  if (!command.prometheus_file.empty())
    replace_file(command.prometheus_file, prometheus_text(entries), kReadableByAll);
  if (!command.nagios) print_errors(entries, configs);
  return show(entries, command);
}

int status_command(const StatusCommand& command) {
  int code = 0;
  const auto error = error_of([&] { code = run(command); });
  if (!error) return code;
  if (!command.nagios) throw Error(*error);
  fmt::print("LITEPULL UNKNOWN - {}\n", safe_text(error->message()));
  return static_cast<int>(NagiosState::kUnknown);
}

}  // namespace

void add_status(CommandLine& line) {
  auto status = line.make<StatusCommand>();
  status->projects = kProjectsDirectory;
  Options command = line.add("status", "Show how old the newest good snapshot is, and how the last run went",
                             status, status_command);
  Options which = command.one_of("Which", "--all");
  which.add("CONFIG", status->common.configs, "Configuration files, one for each app");
  const Option all = which.flag("--all", status->all, "All .env files in the projects directory");
  command
      .add("--projects", status->projects,
           std::string("The projects directory (default ") + kProjectsDirectory + ")")
      .type_name("DIR")
      .needs(all);
  const Option json = command.flag("--json", status->common.json, "Print one JSON document");
  command.flag("--nagios", status->nagios, "Print one line and exit as a Nagios plugin does").excludes(json);
  command
      .add("--prometheus", status->prometheus_file,
           "Write metrics to this file, for node_exporter's textfile collector (*.prom)")
      .type_name("FILE");
  command.footer(
      "Exit codes: 6 the newest good snapshot is older than MAX_AGE_HOURS, or there is none; others as for\n"
      "backup. With --nagios: 0 OK; 1 fresh, but the last run was not good; 2 too old, or none; 3 "
      "unknown.\n\n"
      "Example:\n  litepull status config/projects/billing.env");
}

}  // namespace litepull
