#include "client/ssh/proxy_command.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "client/base/shown_lines.h"
#include "client/keys/socket_pair.h"
#include "common/error.h"

extern char** environ;

namespace litepull {
namespace {

constexpr std::size_t kMaxWordsBytes = 1024;
constexpr int kGraceMs = 1000;  // between SIGTERM and SIGKILL
constexpr int kAskAgainMs = 5;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class ProxyCommand : public Conduit {
 public:
  explicit ProxyCommand(const std::string& command) : words_(std::tmpfile()) {
    if (words_ == nullptr) throw_errno("make a temporary file");
    ::fcntl(::fileno(words_.get()), F_SETFD, FD_CLOEXEC);
    SocketPair pair = make_socket_pair();
    ::fcntl(pair.theirs.get(), F_SETFL, 0);  // programs expect to wait for their standard input
    start("exec " + command, pair.theirs.get());
    ours_ = std::move(pair.ours);
  }

  ~ProxyCommand() override {
    ours_.reset();
    ::kill(-pid_, SIGTERM);
    for (int waited_ms = 0; !ended() && waited_ms < kGraceMs; waited_ms += kAskAgainMs)
      ::poll(nullptr, 0, kAskAgainMs);
    ::kill(-pid_, SIGKILL);
    if (!ended_) retry_eintr([&] { return ::waitpid(pid_, nullptr, 0); });
  }

  Fd take_socket() override { return std::move(ours_); }

  std::string name() const override { return "the ProxyCommand of SSH_CONFIG"; }

  std::string failure() override {
    char text[kMaxWordsBytes];
    const ssize_t size = ::pread(::fileno(words_.get()), text, sizeof text, 0);
    const std::string words = shown_lines({text, static_cast<std::size_t>(size > 0 ? size : 0)});
    return words.empty() ? "" : "ProxyCommand: " + words;
  }

 private:
  void start(const std::string& command, int socket) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {0, 1}) posix_spawn_file_actions_adddup2(&actions, socket, fd);
    posix_spawn_file_actions_adddup2(&actions, ::fileno(words_.get()), 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // It gets a process group of its own, so that Ctrl-C reaches only us. We then end it.
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    for (const int signal : {SIGINT, SIGQUIT, SIGPIPE, SIGTERM}) sigaddset(&signals, signal);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    char shell[] = "sh", option[] = "-c";
    char* argv[] = {shell, option, const_cast<char*>(command.c_str()), nullptr};  // not written to
    const int code = posix_spawn(&pid_, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0)
      throw Error(ErrorKind::kFailed, std::string("cannot start /bin/sh: ") + std::strerror(code));
  }

  bool ended() {
    if (!ended_) ended_ = retry_eintr([&] { return ::waitpid(pid_, nullptr, WNOHANG); }) == pid_;
    return ended_;
  }

  std::unique_ptr<std::FILE, FileCloser> words_;  // its standard error
  Fd ours_;
  pid_t pid_ = -1;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Conduit> start_proxy_command(const std::string& command) {
  return std::make_unique<ProxyCommand>(command);
}

}  // namespace litepull
