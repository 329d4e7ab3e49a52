#include "client/commands/command_line.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "client/base/output.h"
#include "client/cli/parser.h"
#include "client/commands/command_options.h"
#include "client/commands/commands.h"

namespace litepull {
namespace {

constexpr int kUsageError = 2;
constexpr int kNagiosUnknown = 3;

bool has_word(int argc, char** argv, const char* word) {
  return std::find(argv, argv + argc, std::string(word)) != argv + argc;
}

// Takes what follows `--` off the command line of `open`. It is for sqlite3, whatever it looks like.
std::vector<std::string> take_shell_arguments(int& argc, char** argv) {
  if (argc < 2 || std::string(argv[1]) != "open") return {};
  char** const end = argv + argc;
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

int refuse_usage(int argc, char** argv, const std::string& problem) {
  if (wants_json(argc, argv))
    print_json(nlohmann::ordered_json::array(
        {error_json("", kUsageError, Error(ErrorKind::kConfiguration, problem))}));
  // To Nagios, a 2 would mean that the backups are too old.
  return has_word(argc, argv, "--nagios") ? kNagiosUnknown : kUsageError;
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
      "6 (status) the newest good snapshot is too old.\n\n"
      "Example:\n  litepull backup config/projects/billing.env");
  CommandLine line{parser, environment, take_shell_arguments(argc, argv)};
  add_commands(line);
  const Parser::Result parsed = parser.parse(argc, argv);
  if (!parsed.problem.empty()) return refuse_usage(argc, argv, parsed.problem);
  return parsed.run ? parsed.run() : 0;
}

}  // namespace litepull
