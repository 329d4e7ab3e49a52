#include "tests/support/process.h"

#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "common/error.h"

namespace litepull::test {
namespace {

using Clock = std::chrono::steady_clock;

int left_ms(Clock::time_point end) {
  const auto left = std::chrono::ceil<Milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

// Unlike make_pipe, without a moment in which a child started by another thread could inherit an end.
Pipe make_private_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

Fd open_output(const std::string& path) {
  return open_path(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

std::vector<std::string> environment_of(const Environment& added, bool clean) {
  Environment all = added;
  for (char** entry = environ; !clean && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnSettings {
 public:
  SpawnSettings(int in, int out, int err) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    const int ends[] = {in, out, err};
    for (int target = 0; target < 3; ++target)
      posix_spawn_file_actions_adddup2(&actions_, ends[target], target);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    set_signals();
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  void set_signals() {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                              POSIX_SPAWN_SETPGROUP));
  }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

struct Spawned {
  pid_t pid;
  Fd pidfd;
};

Spawned spawn(std::vector<std::string> argv, std::vector<std::string> env, const SpawnSettings& settings) {
  invariant(!argv.empty(), "a program needs a name");
  pid_t pid = -1;
  errno = ::posix_spawnp(&pid, argv[0].c_str(), settings.actions(), settings.attributes(),
                         pointers_to(argv).data(), pointers_to(env).data());
  if (errno != 0) throw_errno("start " + argv[0]);
  // Not <sys/pidfd.h>: in glibc 2.36 it lacks C linkage.
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) throw_errno("watch " + argv[0]);
  return {pid, std::move(pidfd)};
}

ExitStatus reap(pid_t pid) {
  int status = 0;
  if (retry_eintr([&] { return ::waitpid(pid, &status, 0); }) != pid) throw_errno("wait for a process");
  if (WIFSIGNALED(status)) return {-1, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

// False after the timeout. A signal that interrupts poll is no event.
bool wait_readable(int fd, Clock::time_point end) {
  pollfd entry{fd, POLLIN, 0};
  const int ready = retry_eintr([&] { return ::poll(&entry, 1, left_ms(end)); });
  if (ready < 0) throw_errno("wait for a process");
  return ready > 0;
}

void write_ignoring_sigpipe(int fd, std::string& text) {
  sigset_t pipe, before;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const ssize_t done = ::write(fd, text.data(), text.size());
  const bool broken = done < 0 && errno == EPIPE;
  const timespec now{};
  if (broken) sigtimedwait(&pipe, nullptr, &now);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (done > 0) text.erase(0, static_cast<std::size_t>(done));
  if (broken) text.clear();
}

// The three pipes of a `run`, fed and drained together so that neither side waits for the other.
class Conversation {
 public:
  Conversation(Pipe in, Pipe out, Pipe err, std::string stdin_text)
      : in_(std::move(in)), out_(std::move(out)), err_(std::move(err)), stdin_text_(std::move(stdin_text)) {
    for (const int end : {in_.write.get(), out_.read.get(), err_.read.get()})
      if (::fcntl(end, F_SETFL, O_NONBLOCK) != 0) throw_errno("set a pipe non-blocking");
  }

  SpawnSettings settings() const { return {in_.read.get(), out_.write.get(), err_.write.get()}; }

  void close_far_ends() {
    in_.read.reset();
    out_.write.reset();
    err_.write.reset();
  }

  // False when the process has not ended by `end`.
  bool follow(int pidfd, Clock::time_point end, ProcessResult& result) {
    while (true) {
      if (stdin_text_.empty()) in_.write.reset();
      std::array<pollfd, 4> entries{pollfd{pidfd, POLLIN, 0},
                                    pollfd{in_.write ? in_.write.get() : -1, POLLOUT, 0},
                                    pollfd{out_.read ? out_.read.get() : -1, POLLIN, 0},
                                    pollfd{err_.read ? err_.read.get() : -1, POLLIN, 0}};
      const int ready = retry_eintr([&] { return ::poll(entries.data(), entries.size(), left_ms(end)); });
      if (ready < 0) throw_errno("wait for a process");
      drain(result);
      if (entries[0].revents != 0) return true;
      if (ready == 0) return false;
      if (entries[1].revents != 0) write_ignoring_sigpipe(in_.write.get(), stdin_text_);
    }
  }

  // What is there now; an end that has reached its end of file is closed.
  void drain(ProcessResult& result) {
    drain_one(out_.read, result.out);
    drain_one(err_.read, result.err);
  }

 private:
  static void drain_one(Fd& fd, std::string& text) {
    char buffer[65536];
    while (fd) {
      const ssize_t got = retry_eintr([&] { return ::read(fd.get(), buffer, sizeof buffer); });
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) throw_errno("read the output of a process");
      if (got == 0) fd.reset();
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }

  Pipe in_, out_, err_;
  std::string stdin_text_;
};

}  // namespace

ProcessResult run(const std::vector<std::string>& argv, const RunOptions& options) {
  const auto start = Clock::now();
  Conversation conversation(make_private_pipe(), make_private_pipe(), make_private_pipe(),
                            options.stdin_text);
  const Spawned process =
      spawn(argv, environment_of(options.env, options.clean_env), conversation.settings());
  conversation.close_far_ends();

  ProcessResult result;
  result.timed_out = !conversation.follow(process.pidfd.get(), start + options.timeout, result);
  if (result.timed_out) ::kill(-process.pid, SIGKILL);
  result.status = reap(process.pid);
  conversation.drain(result);
  result.duration = std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
  return result;
}

Child::Child(const std::vector<std::string>& argv, const StartOptions& options) {
  const Fd nothing = open_path("/dev/null", O_RDONLY);
  Pipe out;
  if (options.stdout_path.empty()) out = make_private_pipe();
  const Fd out_file = options.stdout_path.empty() ? Fd() : open_output(options.stdout_path);
  const Fd err_file = options.stderr_path.empty() ? Fd() : open_output(options.stderr_path);
  const SpawnSettings settings(nothing.get(), out_file ? out_file.get() : out.write.get(),
                               err_file ? err_file.get() : STDERR_FILENO);
  Spawned process = spawn(argv, environment_of(options.env, options.clean_env), settings);
  pid_ = process.pid;
  pidfd_ = std::move(process.pidfd);
  stdout_ = std::move(out.read);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  destroy();
  pid_ = other.pid_;
  pidfd_ = std::move(other.pidfd_);
  stdout_ = std::move(other.stdout_);
  unread_ = std::move(other.unread_);
  status_ = other.status_;
  return *this;
}

Child::~Child() {
  destroy();
}

void Child::destroy() {
  if (!pidfd_) return;
  // Once reaped, the id may belong to a stranger: then there is nothing left that is safe to signal.
  if (status_) return;
  ::kill(-pid_, SIGKILL);
  int ignored = 0;
  retry_eintr([&] { return ::waitpid(pid_, &ignored, 0); });
}

bool Child::running() {
  return !wait(Milliseconds(0));
}

void Child::kill(int signal) {
  if (!status_ && ::kill(pid_, signal) != 0) throw_errno("signal process " + std::to_string(pid_));
}

std::optional<ExitStatus> Child::wait(Milliseconds timeout) {
  if (!status_ && wait_readable(pidfd_.get(), Clock::now() + timeout)) status_ = reap(pid_);
  return status_;
}

ExitStatus Child::stop(Milliseconds timeout) {
  kill(SIGTERM);
  if (!wait(timeout)) kill(SIGKILL);
  while (!wait(Milliseconds(1000))) {
  }
  return *status_;
}

std::optional<std::string> Child::read_line(Milliseconds timeout) {
  const auto end = Clock::now() + timeout;
  std::size_t newline = 0;
  while ((newline = unread_.find('\n')) == std::string::npos) {
    char buffer[4096];
    if (!stdout_ || !wait_readable(stdout_.get(), end)) return std::nullopt;
    const std::size_t got = read_some(stdout_.get(), buffer, sizeof buffer, "a process's output");
    if (got == 0) return std::nullopt;
    unread_.append(buffer, got);
  }
  std::string line = unread_.substr(0, newline);
  unread_.erase(0, newline + 1);
  return line;
}

void pause_for(Milliseconds duration) {
  std::this_thread::sleep_for(duration);
}

}  // namespace litepull::test
