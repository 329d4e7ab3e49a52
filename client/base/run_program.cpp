#include "client/base/run_program.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/error.h"
#include "common/posix.h"

extern char** environ;

namespace litepull {
namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr std::size_t kTailLines = 20;
constexpr int kAskAgainMs = 20;
constexpr std::uint64_t kRestUs = 1'000'000;
constexpr int kGraceMs = 5000;  // between SIGTERM and SIGKILL

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<char*> our_environment_and(const std::vector<std::string>& variables) {
  std::vector<char*> all = pointers(variables);
  all.pop_back();
  const auto is_set_anew = [&](std::string_view entry) {
    const std::string_view name = entry.substr(0, entry.find('=') + 1);
    return std::any_of(variables.begin(), variables.end(),
                       [&](const std::string& variable) { return variable.starts_with(name); });
  };
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!is_set_anew(*entry)) all.push_back(*entry);
  all.push_back(nullptr);
  return all;
}

struct SpawnSetup {
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int signal : {SIGINT, SIGQUIT, SIGPIPE}) sigaddset(&defaults, signal);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    flags = POSIX_SPAWN_SETSIGDEF;
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  short flags = 0;
};

// The destructor kills and reaps the program, with its process group if it leads one.
class Program {
 public:
  Program(const std::vector<std::string>& argv, const std::vector<std::string>& variables, SpawnSetup& setup,
          const std::string& install_hint)
      : leads_group_((setup.flags & POSIX_SPAWN_SETPGROUP) != 0) {
    posix_spawnattr_setflags(&setup.attributes, setup.flags);
    const int code = posix_spawnp(&pid_, argv[0].c_str(), &setup.actions, &setup.attributes,
                                  pointers(argv).data(), our_environment_and(variables).data());
    if (code == ENOENT) throw Error(ErrorKind::kFailed, argv[0] + " is not installed", install_hint);
    if (code != 0) throw Error(ErrorKind::kFailed, "cannot start " + argv[0] + ": " + std::strerror(code));
  }
  ~Program() { kill_all(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const {
    if (!ended_) ::kill(leads_group_ ? -pid_ : pid_, number);
  }

  bool ended() {
    if (!ended_) ended_ = retry_eintr([&] { return ::waitpid(pid_, &status_, WNOHANG); }) == pid_;
    return ended_;
  }

  // Kills what it left running in its group.
  void kill_all() {
    if (std::exchange(killed_, true)) return;
    if (leads_group_ || !ended_) ::kill(leads_group_ ? -pid_ : pid_, SIGKILL);
    if (!ended_) retry_eintr([&] { return ::waitpid(pid_, &status_, 0); });
    ended_ = true;
  }

  int status() const { return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_); }

 private:
  const bool leads_group_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
  bool killed_ = false;
};

std::string last_lines(const std::string& text) {
  std::size_t from = text.size();
  for (std::size_t lines = 0; lines <= kTailLines && from > 0; ++lines) {
    const std::size_t before = text.rfind('\n', from - 1);
    if (before == std::string::npos) return text;
    from = before;
  }
  return text.substr(std::min(from + 1, text.size()));
}

// Reads until `program` ends, even if something that it left behind holds the pipe open.
class OutputReader {
 public:
  OutputReader(int fd, const std::function<void(std::string_view)>& output) : fd_(fd), output_(output) {}

  void wait_and_read(int timeout_ms) {
    pollfd waiting{fd_, POLLIN, 0};
    if (closed_) {
      ::poll(nullptr, 0, timeout_ms);
    } else if (::poll(&waiting, 1, timeout_ms) > 0) {
      read();
    }
  }
  // Processes that have left the program's group are not waited for.
  void read_rest() {
    pollfd waiting{fd_, POLLIN, 0};
    const std::uint64_t deadline_us = monotonic_us() + kRestUs;
    while (!closed_ && ::poll(&waiting, 1, 0) > 0 && monotonic_us() < deadline_us) read();
  }
  std::string tail() const { return last_lines(tail_); }

 private:
  void read() {
    char buffer[16384];
    const std::size_t got = read_some(fd_, buffer, sizeof buffer, "the command's output");
    closed_ = got == 0;
    const std::string_view text(buffer, got);
    output_(text);
    tail_ += text;
    if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  }

  const int fd_;
  const std::function<void(std::string_view)>& output_;
  std::string tail_;
  bool closed_ = false;
};

// The reading end of a pipe that holds `input` and then ends.
Fd filled_pipe(std::string_view input) {
  invariant(input.size() <= kMaxCommandInput, "more than a pipe takes at once");
  Pipe pipe = make_pipe();
  write_all(pipe.write.get(), input.data(), input.size(), "the command's input");
  return std::move(pipe.read);
}

double seconds_since(std::uint64_t start_us) {
  return static_cast<double>(monotonic_us() - start_us) / 1e6;
}

}  // namespace

void ignore_keys() {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGQUIT, SIG_IGN);
}

int run_on_terminal(const std::vector<std::string>& argv, const std::string& install_hint,
                    const Cancel& cancel) {
  SpawnSetup setup;
  Program program(argv, {}, setup, install_hint);
  int asked_ms = -1;
  while (!program.ended()) {
    ::poll(nullptr, 0, kAskAgainMs);
    if (!cancel.requested()) continue;
    if (asked_ms < 0) program.signal(SIGTERM);
    asked_ms += kAskAgainMs;
    if (asked_ms > kGraceMs) program.kill_all();
  }
  return program.status();
}

CommandRun run_command(const ShellCommand& command, const std::function<void(std::string_view)>& output,
                       const Cancel& cancel) {
  const std::uint64_t start_us = monotonic_us();
  Pipe pipe = make_pipe();
  const Fd filled = filled_pipe(command.input);
  SpawnSetup setup;
  setup.flags = static_cast<short>(setup.flags | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_adddup2(&setup.actions, filled.get(), 0);
  for (const int fd : {1, 2}) posix_spawn_file_actions_adddup2(&setup.actions, pipe.write.get(), fd);
  // posix_spawn has no portable way to change the directory.
  Program program({"/bin/sh", "-c", "cd \"$0\" && exec /bin/sh -c \"$1\"", command.directory, command.text},
                  command.variables, setup, "a POSIX shell is needed at /bin/sh");
  pipe.write.reset();
  OutputReader reader(pipe.read.get(), output);
  CommandRun run;
  while (!program.ended() && !run.timed_out) {
    cancel.throw_if_requested();
    reader.wait_and_read(kAskAgainMs);
    run.timed_out = seconds_since(start_us) > command.timeout_s;
  }
  program.kill_all();
  reader.read_rest();
  run.status = program.status();
  run.seconds = seconds_since(start_us);
  run.last_lines = reader.tail();
  return run;
}

}  // namespace litepull
