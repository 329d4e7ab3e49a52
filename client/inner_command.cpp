#include "client/inner_command.h"

#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <csignal>
#include <cstring>
#include <utility>

#include "client/agent_file.h"
#include "common/error.h"
#include "common/posix.h"

extern char** environ;

namespace litepull {
namespace {

class InnerChild {
 public:
  explicit InnerChild(const std::vector<std::string>& arguments) {
    Pipe pipe = make_pipe();
    const std::string program = own_program();
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe.write.get(), 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // Ctrl-C reaches it through us
    const int code = posix_spawn(&pid_, program.c_str(), &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) throw Error(ErrorKind::kFailed, "cannot start " + program + ": " + std::strerror(code));
    output_ = std::move(pipe.read);
  }

  ~InnerChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  std::string read_all(std::uint64_t deadline_us, std::size_t max_bytes, const Cancel& cancel) {
    std::string text;
    char buffer[65536];
    for (;;) {
      cancel.throw_if_requested();
      if (monotonic_us() > deadline_us) throw Error(ErrorKind::kFailed, "it took too long");
      pollfd waiting{output_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kCancelPollMs) <= 0) continue;
      const std::size_t got = read_some(output_.get(), buffer, sizeof buffer, "the child's result");
      if (got == 0) return text;
      text.append(buffer, got);
      if (text.size() > max_bytes) throw Error(ErrorKind::kFailed, "it said too much");
    }
  }

  int wait() {
    int status = 0;
    retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  Fd output_;
};

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  setrlimit(static_cast<decltype(RLIMIT_CPU)>(resource), &both);
}

}  // namespace

std::string run_inner_command(const std::vector<std::string>& arguments, std::uint64_t timeout_s,
                              std::size_t max_output_bytes, const Cancel& cancel) {
  InnerChild child(arguments);
  std::string output = child.read_all(monotonic_us() + timeout_s * 1'000'000, max_output_bytes, cancel);
  const int status = child.wait();
  if (WIFSIGNALED(status)) {
    // What stops a whole group of processes may reach the child first, and says nothing of the file.
    const int signal = WTERMSIG(status);
    if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) ::usleep(1000 * kCancelPollMs);
    cancel.throw_if_requested();
    throw Error(ErrorKind::kFailed, "it was ended by signal " + std::to_string(signal));
  }
  if (WEXITSTATUS(status) != 0)
    throw Error(ErrorKind::kFailed, "it ended with status " + std::to_string(WEXITSTATUS(status)));
  return output;
}

void limit_this_process(std::uint64_t size_bytes, bool may_write) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to outlive a client that is killed
#endif
  limit(RLIMIT_CORE, 0);
  if (!may_write) limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CPU, 120 + 120 * (size_bytes >> 30));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, (2ULL << 30) + size_bytes / 512);
#endif
}

}  // namespace litepull
