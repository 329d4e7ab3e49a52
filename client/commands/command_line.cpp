#include "client/commands/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "client/base/exit_code.h"
#include "client/base/output.h"
#include "client/cli/parser.h"
#include "client/commands/command_options.h"
#include "client/commands/commands.h"
#include "client/config/projects.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr int kNagiosUnknown = 3;

bool has_word(int argc, char** argv, const char* word) {
  return std::find(argv, argv + argc, std::string(word)) != argv + argc;
}

// Takes what follows `--` off the command line of `open`. It is for sqlite3, whatever it looks like.
std::vector<std::string> take_shell_arguments(int& argc, char** argv) {
  char** const end = argv + argc;
  const auto is_command = [](const char* word) { return word[0] != '-'; };
  char** const command = std::find_if(argv + std::min(argc, 1), end, is_command);
  if (command == end || std::string(*command) != "open") return {};
  char** const dashes = std::find(argv, end, std::string("--"));
  argc = static_cast<int>(dashes - argv);
  return dashes == end ? std::vector<std::string>{} : std::vector<std::string>(dashes + 1, end);
}

// In the order in which --help shows them.
void add_commands(CommandLine& line) {
  add_init(line);
  add_check(line);
  add_backup(line);
  add_list(line);
  add_status(line);
  add_verify(line);
  add_diff(line);
  add_open(line);
  add_restore(line);
  add_pin(line, "pin", "Keep a snapshot whatever its age", true);
  add_pin(line, "unpin", "Leave a snapshot to retention again", false);
  add_cleanup(line);
  add_schedule(line);
}

// A word that can only be a configuration, there or not.
bool is_config_word(const std::string& word, const std::vector<std::string>& names) {
  const std::string file = config_file(word);
  const bool named = std::find(names.begin(), names.end(), word) != names.end();
  return named || file != word || word.find('/') != word.npos || word.ends_with(".env") ||
         std::filesystem::is_regular_file(word);
}

std::string only_config(const std::string& command, const std::vector<std::string>& names) {
  if (names.empty())
    throw Error(ErrorKind::kConfiguration,
                std::string("no configuration was named, and there is none in ") + kProjectsDirectory +
                    " here or above",
                "make one with: litepull init");
  if (names.size() == 1) return names.front();
  throw Error(ErrorKind::kConfiguration,
              fmt::format("there are several configurations: {}", fmt::join(names, ", ")),
              "name one, for example: litepull " + command + " " + shell_word(names.front()));
}

// `status` finds them by itself, in the directory that --projects names.
std::vector<std::string> all_configs(const KnownCommand& command, const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& names) {
  if (command.name == "status") return {};
  if (!arguments.empty())
    throw Error(ErrorKind::kConfiguration,
                "--all and " + printable(arguments.front()) + " exclude each other", "give one of them");
  return names.empty() ? std::vector<std::string>{only_config(command.name, names)} : names;
}

// The configuration that a line means without naming it: the only one there is.
std::vector<std::string> left_out(const KnownCommand& command, const std::vector<std::string>& arguments,
                                  const ReadWords& read) {
  if (command.arguments.empty() || command.arguments.front().name != "CONFIG") return {};
  const std::vector<std::string> names = config_names();
  if (read.has("--all")) return all_configs(command, arguments, names);
  const std::size_t most = command.arguments.back().many ? 1 : command.arguments.size();
  if (arguments.size() >= most) return {};
  if (!arguments.empty() && is_config_word(arguments.front(), names)) return {};
  const std::string name = only_config(command.name, names);
  if (!read.has("--quiet") && !read.has("-q"))
    fmt::print(stderr, "litepull: {} ({})\n", printable(name), printable(config_file(name)));
  return {name};
}

int refuse_usage(int argc, char** argv, const Parser::Result& wrong) {
  if (wants_json(argc, argv))
    print_json(nlohmann::ordered_json::array(
        {error_json("", kExitConfiguration, Error(ErrorKind::kConfiguration, wrong.problem, wrong.hint))}));
  // To Nagios, a 2 would mean that the backups are too old.
  return has_word(argc, argv, "--nagios") ? kNagiosUnknown : kExitConfiguration;
}

}  // namespace

bool wants_json(int argc, char** argv) {
  return has_word(argc, argv, "--json");
}

int run_command_line(int argc, char** argv, const Environment& environment) {
  Parser parser("litepull", "Consistent SQLite snapshots from a server into a local workspace, and back.",
                "litepull " LITEPULL_VERSION);
  parser.footer(
      "Exit codes: 0 done; 1 failed, nothing published; 2 usage or configuration; 3 could not connect,\n"
      "authenticate or trust the host; 4 published, but a database is missing, bad or unverified, or\n"
      "what was looked at is damaged or could not be checked; 5 another run holds this app's lock;\n"
      "6 (status) the newest good snapshot is too old; 130 stopped by Ctrl-C.\n\n"
      "Example:\n  litepull backup billing");
  CommandLine line{parser, environment, take_shell_arguments(argc, argv)};
  add_commands(line);
  parser.complete_with(left_out);
  const Parser::Result parsed = parser.parse(argc, argv);
  if (!parsed.problem.empty()) return refuse_usage(argc, argv, parsed);
  return parsed.run ? parsed.run() : 0;
}

}  // namespace litepull
