#include "client/link/local_link.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <vector>

#include "client/link/agent_file.h"
#include "client/link/agent_messages.h"
#include "common/posix.h"

extern char** environ;

namespace litepull {
namespace {

constexpr std::uint64_t kReapUs = 5'000'000;
constexpr std::size_t kMaxLocalNoiseBytes = 64 * 1024;  // no login shell comes before the agent
constexpr int kPipeBytes = 1 << 20;  // fewer switches between the processes than with the usual 64 KiB

// Without the variables in which sudo and similar programs name their caller. Here litepull is the caller,
// and it has all rights that the agent gets.
std::vector<char*> own_environment() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool of_caller =
        text.starts_with("SUDO_") || text.starts_with("PKEXEC_") || text.starts_with("DOAS_");
    if (!of_caller) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

class LocalLink : public Link {
 public:
  LocalLink(const Config& config, const std::string& agent_path, const Cancel& cancel)
      : cancel_(cancel),
        idle_timeout_us_(std::uint64_t{1'000'000} * static_cast<unsigned>(config.idle_timeout_s)) {
    Pipe to_agent = make_pipe();
    Pipe from_agent = make_pipe();
#ifdef F_SETPIPE_SZ
    ::fcntl(from_agent.write.get(), F_SETPIPE_SZ, kPipeBytes);
#endif
    spawn(agent_path, to_agent.read.get(), from_agent.write.get());
    ::fcntl(to_agent.write.get(), F_SETFL, O_NONBLOCK);  // for this end alone
    input_ = std::move(to_agent.write);
    output_ = std::move(from_agent.read);
  }

  ~LocalLink() override {
    reap();
  }

  std::size_t read(void* buffer, std::size_t size) override {
    const std::uint64_t since_us = monotonic_us();
    for (;;) {
      cancel_.throw_if_requested();
      pollfd waiting{output_.get(), POLLIN, 0};
      if (retry_eintr([&] { return ::poll(&waiting, 1, kCancelPollMs); }) > 0) break;
      if (monotonic_us() - since_us > idle_timeout_us_)
        throw LinkError("the agent has said nothing for too long",
                        "raise IDLE_TIMEOUT if the machine is that slow");
    }
    const std::size_t got = read_some(output_.get(), buffer, size, "from the agent");
    received_ += got;
    return got;
  }

  void write(ByteView head, ByteView body) override {
    write_patiently(head);
    write_patiently(body);
    sent_ += head.size() + body.size();
  }

  std::string remote_words() override {
    return reap();
  }

 private:
  // An agent that has stopped reading must not keep a cancelled run from ending.
  void write_patiently(ByteView bytes) const {
    const std::uint64_t since_us = monotonic_us();
    while (!bytes.empty()) {
      cancel_.throw_if_requested();
      const ssize_t done = retry_eintr([&] { return ::write(input_.get(), bytes.data(), bytes.size()); });
      if (done > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(done));
        continue;
      }
      if (done < 0 && errno != EAGAIN) throw_errno("write to the agent");
      if (monotonic_us() - since_us > idle_timeout_us_)
        throw LinkError("the agent has accepted no data for too long",
                        "raise IDLE_TIMEOUT if the machine is that slow");
      pollfd room{input_.get(), POLLOUT, 0};
      ::poll(&room, 1, kCancelPollMs);
    }
  }

  void spawn(const std::string& agent_path, int in, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    // It gets a process group of its own, so that Ctrl-C reaches only the client, which then ends the agent.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    char* argv[] = {const_cast<char*>(agent_path.c_str()), nullptr};  // posix_spawn does not write to it
    std::vector<char*> environment = own_environment();
    const int code = posix_spawn(&pid_, agent_path.c_str(), &actions, &attributes, argv, environment.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) throw Error(ErrorKind::kFailed, "cannot start " + agent_path + ": " + std::strerror(code));
  }

  // Ends the agent's input, upon which it ends by itself; after 5 s kills it. Returns how it ended when that
  // was not with status 0.
  std::string reap() {
    if (pid_ <= 0) return {};
    input_.reset();
    output_.reset();
    int status = 0;
    const std::uint64_t deadline_us = monotonic_us() + kReapUs;
    while (retry_eintr([&] { return ::waitpid(pid_, &status, WNOHANG); }) == 0) {
      if (monotonic_us() > deadline_us) ::kill(-pid_, SIGKILL);
      ::usleep(2'000);
    }
    pid_ = -1;
    if (WIFSIGNALED(status)) return "the agent was ended by signal " + std::to_string(WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? ""
                                    : "the agent ended with status " + std::to_string(WEXITSTATUS(status));
  }

  const Cancel& cancel_;
  const std::uint64_t idle_timeout_us_;
  pid_t pid_ = -1;
  Fd input_;
  Fd output_;
};

}  // namespace

std::unique_ptr<Link> open_local_link(const Config& config, const std::string& agents, const Cancel& cancel) {
  const std::string agent_path = local_agent(agents);
  auto link = std::make_unique<LocalLink>(config, agent_path, cancel);
  Greeting greeting;
  PatientSource patient(*link, patience_us(config.idle_timeout_s));
  read_greeting(patient, greeting, kMaxLocalNoiseBytes);
  if (greeting.words != "agent")
    throw Error(ErrorKind::kFailed, agent_path + " does not answer as an agent: " + link->remote_words(),
                "build litepull again, so that both programs are of one build");
  return link;
}

}  // namespace litepull
