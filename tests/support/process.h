// Programs run by tests: `run` for one that ends by itself, `Child` for one that works in the background.
// Children get only the descriptors 0, 1 and 2, default signal handlers, an empty signal mask and a process
// group of their own. They are ended by process id, never by name. Any thread may start one; one object
// belongs to one thread. A program that cannot be started throws Error{kFailed}.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/posix.h"

namespace litepull::test {

using Environment = std::map<std::string, std::string>;
using Milliseconds = std::chrono::milliseconds;

struct ExitStatus {
  int code = -1;   // -1 when a signal ended it
  int signal = 0;  // 0 when it exited by itself
};

struct RunOptions {
  Environment env{};       // added to this process's environment
  bool clean_env = false;  // `env` is then all there is (the program is still looked for in our own PATH)
  std::string stdin_text{};
  Milliseconds timeout{60'000};  // past it the process group is killed
};

struct ProcessResult {
  ExitStatus status;
  bool timed_out = false;
  std::string out;  // standard output
  std::string err;  // standard error
  Milliseconds duration{0};

  bool ok() const { return status.code == 0 && !timed_out; }
};

// Ends when the process ends, also if a process that it left behind still holds its output open.
// The program is looked for in PATH when argv[0] has no slash.
ProcessResult run(const std::vector<std::string>& argv, const RunOptions& options = {});

struct StartOptions {
  Environment env{};
  bool clean_env = false;
  std::string stdout_path{};  // appended to; empty: a pipe, see read_line
  std::string stderr_path{};  // appended to; empty: ours
};

class Child {
 public:
  explicit Child(const std::vector<std::string>& argv, const StartOptions& options = {});
  Child(Child&& other) noexcept = default;
  Child& operator=(Child&& other) noexcept;
  ~Child();  // kills its process group and reaps it

  pid_t pid() const { return pid_; }
  bool running();
  void kill(int signal);  // the process alone, not its group; nothing when it has been reaped

  // nullopt when it still runs after `timeout`. Once it has ended, always the same status.
  std::optional<ExitStatus> wait(Milliseconds timeout);

  // SIGTERM, then SIGKILL after `timeout`.
  ExitStatus stop(Milliseconds timeout = Milliseconds(10'000));

  // The next line of standard output without its newline; nullopt at its end or after `timeout`.
  std::optional<std::string> read_line(Milliseconds timeout);

 private:
  void destroy();

  pid_t pid_ = -1;
  Fd pidfd_;  // empty in a moved-from object
  Fd stdout_;
  std::string unread_;
  std::optional<ExitStatus> status_;
};

// True once `condition` holds, asked every few milliseconds; false when it still does not after `timeout`.
template <typename Condition>
bool eventually(Condition condition, Milliseconds timeout = Milliseconds(10'000));

void pause_for(Milliseconds duration);

template <typename Condition>
bool eventually(Condition condition, Milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    pause_for(Milliseconds(5));
  }
  return true;
}

}  // namespace litepull::test
