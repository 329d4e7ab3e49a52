#include "client/sandbox/child.h"

#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "client/base/own_program.h"
#include "common/error.h"
#include "common/posix.h"

extern char** environ;

namespace litepull {
namespace {

constexpr std::uint64_t kSignOfLifeUs = 250'000;

class Child {
 public:
  Child(const std::vector<std::string>& arguments, std::string_view input) {
    invariant(input.size() <= kMaxChildInputBytes, "more than a pipe takes at once");
    Pipe pipe = make_pipe(), given = make_pipe();
    write_all(given.write.get(), input.data(), input.size(), "the child's input");
    given.write.reset();
    const std::string program = own_program();
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, given.read.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, pipe.write.get(), 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // Ctrl-C must reach it through us only
    const int code = posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) throw Error(ErrorKind::kFailed, "cannot start " + program + ": " + std::strerror(code));
    output_ = std::move(pipe.read);
  }

  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  std::string read_all(std::uint64_t max_stall_ms, std::size_t max_bytes, const Cancel& cancel) {
    std::string text;
    char buffer[65536];
    for (std::uint64_t alive_us = monotonic_us();;) {
      cancel.throw_if_requested();
      if (monotonic_us() - alive_us > max_stall_ms * 1000) throw_stalled(max_stall_ms);
      pollfd waiting{output_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kCancelPollMs) <= 0) continue;
      const std::size_t got = read_some(output_.get(), buffer, sizeof buffer, "the child's result");
      if (got == 0) return text;
      alive_us = monotonic_us();
      text.append(buffer, got);
      text.erase(0, text.find_first_not_of(' '));
      if (text.size() > max_bytes) throw Error(ErrorKind::kFailed, "its output was too long");
    }
  }

  int wait() {
    int status = 0;
    retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
    pid_ = -1;
    return status;
  }

 private:
  [[noreturn]] static void throw_stalled(std::uint64_t max_stall_ms) {
    throw Error(ErrorKind::kFailed,
                "it got nowhere for " + std::to_string((max_stall_ms + 999) / 1000) + " s and was ended");
  }

  pid_t pid_ = -1;
  Fd output_;
};

void limit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit both{soft, hard};
  setrlimit(static_cast<decltype(RLIMIT_CPU)>(resource), &both);
}

}  // namespace

std::string run_child(const std::vector<std::string>& arguments, std::size_t max_output_bytes,
                      const Cancel& cancel, std::uint64_t max_stall_ms, std::string_view input) {
  Child child(arguments, input);
  std::string output = child.read_all(max_stall_ms, max_output_bytes, cancel);
  const int status = child.wait();
  if (WIFSIGNALED(status)) {
    // A signal to a whole group of processes may reach the child first. It tells nothing about the file.
    const int signal = WTERMSIG(status);
    if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) ::usleep(1000 * kCancelPollMs);
    cancel.throw_if_requested();
  }
  if (const std::string why = end_of_child(status); !why.empty()) throw Error(ErrorKind::kFailed, why);
  return output;
}

std::string end_of_child(int wait_status) {
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return "";
  if (!WIFSIGNALED(wait_status)) return "it ended with status " + std::to_string(WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  const std::string how = " (signal " + std::to_string(signal) + ")";
  if (signal == SIGXCPU)
    return "it was ended" + how + ": it took more processor time than a sound database of that size needs";
  if (signal == SIGKILL) return "it was killed" + how + ", as the system does when memory runs out";
  return (signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT ? "it crashed" : "it was ended") + how;
}

std::uint64_t max_cpu_s(std::uint64_t size_bytes) {
  return 3600 + size_bytes / 100'000;
}

// SQLite's largest value has a billion bytes (https://sqlite.org/limits.html), and no value is larger than
// its file.
std::uint64_t max_memory_bytes(std::uint64_t size_bytes) {
  return (2ULL << 30) + size_bytes / 512 + 4 * std::min<std::uint64_t>(size_bytes, 1ULL << 30);
}

std::function<void()> sign_of_life() {
  return [last_us = monotonic_us()]() mutable {
    if (monotonic_us() - last_us < kSignOfLifeUs) return;
    last_us = monotonic_us();
    (void)!::write(STDOUT_FILENO, " ", 1);  // the child need not fail because its parent is gone
  };
}

void limit_this_process(std::uint64_t size_bytes, bool may_write) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // the child must not outlive a client that is killed
#endif
  limit(RLIMIT_CORE, 0, 0);
  if (!may_write) limit(RLIMIT_FSIZE, 0, 0);
  const std::uint64_t cpu_s = max_cpu_s(size_bytes);
  limit(RLIMIT_CPU, cpu_s,
        cpu_s + 5);  // SIGXCPU comes first, and tells this limit from other reasons to be killed
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, max_memory_bytes(size_bytes), max_memory_bytes(size_bytes));
#endif
}

}  // namespace litepull
