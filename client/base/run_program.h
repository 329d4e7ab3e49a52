// Programs that a command starts for the user: a shell that gets the terminal, or a command whose exit status
// is wanted. The program has ended when these functions return or throw. Failures are Error{kFailed}; the
// hint says how to install a missing program.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// Runs `argv` on our terminal and in our process group until it ends. Returns its exit status, or 128 plus
// the number of the signal that ended it. The program handles SIGINT and SIGQUIT, so they must be ignored
// here meanwhile (ignore_keys). When `cancel` is requested, the program is asked to end.
int run_on_terminal(const std::vector<std::string>& argv, const std::string& install_hint,
                    const Cancel& cancel);

// From now on Ctrl-C and Ctrl-\ reach only the programs that we start.
void ignore_keys();

struct ShellCommand {
  std::string text;  // for `sh -c`
  std::string directory;
  std::vector<std::string> variables;  // "NAME=value"
  double timeout_s = 0;
  std::string input{};  // on its stdin; no longer than kMaxCommandInput
};

struct CommandRun {
  int status = 0;          // as above
  bool timed_out = false;  // it was killed, with all that it had started
  double seconds = 0;
  std::string last_lines;  // of its stdout and stderr together
};

inline constexpr std::size_t kMaxCommandInput = 4096;  // what a pipe takes at once, however small it is

// Runs the command in a process group of its own and waits. `output` gets what it prints, piece by piece. The
// variables are added to our environment.
CommandRun run_command(const ShellCommand& command, const std::function<void(std::string_view)>& output,
                       const Cancel& cancel);

}  // namespace litepull
