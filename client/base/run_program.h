// Programs of the user's that a command starts: a shell that gets the terminal, or a command whose verdict is
// asked for. Either is gone when these functions return or throw. Failures are Error{kFailed}, with the hint
// that installs a program that is missing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// Runs `argv` on our terminal and in our process group, until it ends by itself, and returns its exit status,
// or 128 and the number of the signal that ended it. SIGINT and SIGQUIT are its own affair: they must be
// ignored here meanwhile (ignore_keys). When `cancel` is requested it is asked to end.
int run_on_terminal(const std::vector<std::string>& argv, const std::string& install_hint,
                    const Cancel& cancel);

// From now on Ctrl-C and Ctrl-\ are for whom we start.
void ignore_keys();

struct CommandRun {
  int status = 0;          // as above
  bool timed_out = false;  // it, and what it had started, was killed
  double seconds = 0;
  std::string last_lines;  // of what it printed on stdout and stderr
};

inline constexpr std::size_t kMaxCommandInput = 4096;  // what a pipe takes at once, however small it is

// Runs `sh -c COMMAND` in `directory`, `input` on its stdin and a process group of its own, and waits. What
// it prints goes to `output` piece by piece. `variables` ("NAME=value") are added to our environment.
// Precondition: `input` is no longer than kMaxCommandInput.
CommandRun run_command(const std::string& command, const std::string& directory,
                       const std::vector<std::string>& variables, double timeout_s,
                       const std::function<void(std::string_view)>& output, const Cancel& cancel,
                       std::string_view input = {});

}  // namespace litepull
