// What the options of the commands have in common.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/cli/parser.h"
#include "client/config/env_file.h"

namespace litepull {

struct CommonOptions {
  Environment environment;
  bool json = false;
  bool quiet = false;
};

// Of a command that takes one configuration.
struct OneAppOptions : CommonOptions {
  std::string config;  // its path
};

// Of a command that takes several, one for each app.
struct ManyAppsOptions : CommonOptions {
  std::vector<std::string> configs;  // their paths
};

// The command line that the commands add themselves to. What it refers to lives until the command has run.
struct CommandLine {
  Parser& parser;
  const Environment& environment;
  std::vector<std::string> shell_arguments;  // what follows `--`; for `open`

  std::string variable(const std::string& name) const;  // empty if it is not set
  std::string agent_path() const;                       // as find_agent takes it

  template <typename Command>
  std::shared_ptr<Command> make() const {
    auto command = std::make_shared<Command>();
    command->common.environment = environment;
    return command;
  }

  // `run` is called with `command` if the line names it, and returns the process's exit code.
  template <typename Command>
  Options add(const std::string& name, const std::string& about, const std::shared_ptr<Command>& command,
              int (*run)(const Command&)) {
    return parser.command(name, about, [command, run] { return run(*command); });
  }
};

// The words for a snapshot that client/store/select_snapshot.h takes.
inline constexpr const char* kSnapshotWords =
    "latest, latest-verified, a name or its beginning, or a number or label from `list`";

void add_config(Options& options, OneAppOptions& values);
void add_configs(Options& options, ManyAppsOptions& values);
void add_json(Options& options, CommonOptions& values);
// `what` is printed nevertheless: "errors".
void add_quiet(Options& options, CommonOptions& values, const std::string& what);
void add_databases(Options& options, std::vector<std::string>& names);

}  // namespace litepull
