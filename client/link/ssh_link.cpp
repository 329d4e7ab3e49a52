#include "client/link/ssh_link.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "client/base/console.h"
#include "client/base/shown_lines.h"
#include "client/link/agent_file.h"
#include "client/link/agent_messages.h"
#include "client/link/remote_command.h"
#include "client/link/sudo_rule.h"
#include "client/ssh/connect.h"
#include "client/ssh/session.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kMaxQueuedBytes = 64 * kChunkBytes;  // then the server is made to wait
constexpr std::size_t kMaxOutgoingBytes = 4 << 20;
constexpr std::size_t kMaxErrorBytes = 16 * 1024;
constexpr std::size_t kShownBytes = 400;
constexpr int kPumpWaitMs = 1'000;
constexpr int kBulkWaitMs = 1;  // for the rest of a chunk, while whole ones have been coming

// libssh is for one thread: this one moves bytes between the channel and two queues, so that the reader may
// take its time (for a disk, say) while the client's pings still go out.
class SshLink : public Link {
 public:
  SshLink(std::unique_ptr<SshSession> session, Channel channel, const Config& config, const Cancel& cancel)
      : session_(std::move(session)),
        channel_(std::move(channel)),
        cancel_(cancel),
        idle_timeout_us_(std::uint64_t{1'000'000} * static_cast<unsigned>(config.idle_timeout_s)),
        host_(config.server_host),
        wake_(make_pipe()) {
    for (const int end : {wake_.read.get(), wake_.write.get()}) ::fcntl(end, F_SETFL, O_NONBLOCK);
    pump_ = std::thread([this] { run_pump(); });
  }

  ~SshLink() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_pump();
    pump_.join();
  }

  std::size_t read(void* buffer, std::size_t size) override {
    cancel_.throw_if_requested();  // what is at hand may stand for much work
    if (current_at_ == current_.size() && !next_chunk()) return 0;
    const std::size_t count = std::min(size, current_.size() - current_at_);
    std::memcpy(buffer, current_.data() + current_at_, count);
    current_at_ += count;
    return count;
  }

  void write(ByteView head, ByteView body) override {
    {
      std::unique_lock lock(mutex_);
      const std::uint64_t since_us = monotonic_us();
      while (outgoing_.size() > kMaxOutgoingBytes && !failure_) {
        changed_.wait_for(lock, std::chrono::milliseconds(kCancelPollMs));
        cancel_.throw_if_requested();
        if (monotonic_us() - since_us > idle_timeout_us_)
          throw LinkError(host_ + ": nothing was taken for too long", "run this again");
      }
      if (failure_) std::rethrow_exception(failure_);
      outgoing_.insert(outgoing_.end(), head.begin(), head.end());
      outgoing_.insert(outgoing_.end(), body.begin(), body.end());
    }
    sent_ += head.size() + body.size();
    wake_pump();
  }

  std::string remote_words() override {
    const std::lock_guard lock(mutex_);
    return printable(errors_);
  }

  // The end of remote_words(), for a message.
  std::string shown_words() {
    const std::lock_guard lock(mutex_);
    return shown_end(errors_, kShownBytes);
  }

  // Whether a read ended since nothing was heard for too long.
  bool was_silent() const { return was_silent_; }

  // After the end of the stream.
  int exit_status() {
    const std::lock_guard lock(mutex_);
    return exit_status_;
  }

  // Ends the pump and hands the connection on, for another command.
  std::unique_ptr<SshSession> take_session() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_pump();
    pump_.join();
    pump_ = std::thread([] {});
    session_->finish(std::move(channel_));
    return std::move(session_);
  }

 private:
  // False at the end of the stream.
  bool next_chunk() {
    std::unique_lock lock(mutex_);
    const std::uint64_t since_us = monotonic_us();
    while (incoming_.empty() && !ended_ && !failure_) {
      changed_.wait_for(lock, std::chrono::milliseconds(kCancelPollMs));
      cancel_.throw_if_requested();
      if (incoming_.empty() && monotonic_us() - since_us > idle_timeout_us_) throw_silent();
    }
    cancel_.throw_if_requested();
    if (incoming_.empty() && failure_) std::rethrow_exception(failure_);
    if (incoming_.empty()) return false;
    current_ = std::move(incoming_.front());
    current_at_ = 0;
    incoming_.pop_front();
    const bool was_full = queued_bytes_ >= kMaxQueuedBytes;
    queued_bytes_ -= current_.size();
    lock.unlock();
    if (was_full) wake_pump();
    return true;
  }

  [[noreturn]] void throw_silent() {
    was_silent_ = true;
    throw LinkError(host_ + ": nothing was heard for " + std::to_string(idle_timeout_us_ / 1'000'000) + " s",
                    "run this again; if the link is that slow, raise IDLE_TIMEOUT");
  }

  void wake_pump() const {
    const char byte = 0;
    [[maybe_unused]] const ssize_t done = ::write(wake_.write.get(), &byte, 1);  // a full pipe wakes as well
  }

  void run_pump() {
    try {
      pump();
    } catch (...) {
      hand_over();  // what came before counts: the next run goes on with it
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  void pump() {
    for (;;) {
      bool has_room = false;
      {
        const std::lock_guard lock(mutex_);
        if (stop_) return;
        has_room = queued_bytes_ < kMaxQueuedBytes;
      }
      bool progress = send_some();
      if (has_room) {
        progress = receive_some() || progress;
        if (!progress && has_ended(channel_.get())) return end();
      }
      if (ssh_is_connected(session_->get()) == 0) throw_cut();
      if (!progress) wait(has_room);
    }
  }

  // In a bulk transfer a part of a chunk waits for the rest of it: handing on every few packets, with three
  // system calls for each, cost a fifth of the client's processor time.
  void wait(bool has_room) {
    const int timeout_ms = have_ > 0 ? kBulkWaitMs : kPumpWaitMs;
    const auto woken = session_->wait(wake_.read.get(), timeout_ms, has_room, !is_bulk());
    if (woken == SshSession::Woken::kNot) {
      streak_bytes_ = 0;
      hand_over();
    }
    if (woken != SshSession::Woken::kByOther) return;
    char drained[256];
    while (::read(wake_.read.get(), drained, sizeof drained) > 0) {
    }
  }

  bool is_bulk() const { return streak_bytes_ >= kChunkBytes; }

  bool send_some() {
    std::unique_lock lock(mutex_);
    if (outgoing_.empty()) return false;
    const std::uint32_t window = ssh_channel_window_size(channel_.get());
    const std::size_t size = std::min<std::size_t>(outgoing_.size(), std::min<std::uint32_t>(window, 32768));
    if (size == 0) return false;
    const Bytes part(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(size));
    lock.unlock();
    const int done = ssh_channel_write(channel_.get(), part.data(), static_cast<std::uint32_t>(part.size()));
    lock.lock();
    if (done == SSH_ERROR) {
      // The agent may have ended, and what it said before is still to be read; a broken connection shows
      // there.
      outgoing_.clear();
      return false;
    }
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + done);
    changed_.notify_all();
    return done > 0;
  }

  // stderr first: reading takes packets of either stream off the connection, and what came for stdout then
  // would wait unseen.
  bool receive_some() {
    const bool heard_errors = receive_errors();
    const std::size_t before = have_;
    while (have_ < buffer_.size()) {
      const int got = ssh_channel_read_nonblocking(channel_.get(), buffer_.data() + have_,
                                                   static_cast<std::uint32_t>(buffer_.size() - have_), 0);
      if (got == SSH_ERROR) throw_cut();
      if (got <= 0) break;
      have_ += static_cast<std::size_t>(got);
    }
    if (have_ == before) return heard_errors;
    received_ += have_ - before;
    streak_bytes_ += have_ - before;
    if (!is_bulk() || have_ == buffer_.size()) hand_over();
    return true;
  }

  // A full buffer is handed on as it is; what is less is copied, so that many small packets cannot hold many
  // large buffers.
  void hand_over() {
    if (have_ == 0) return;
    const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(have_);
    Bytes chunk =
        have_ == buffer_.size() ? std::exchange(buffer_, Bytes(kChunkBytes)) : Bytes(buffer_.begin(), end);
    {
      const std::lock_guard lock(mutex_);
      queued_bytes_ += have_;
      incoming_.push_back(std::move(chunk));
    }
    have_ = 0;
    changed_.notify_all();
  }

  [[noreturn]] void throw_cut() const {
    throw LinkError(host_ + ": the connection was cut: " + session_->last_error(),
                    "run this again; nothing was published");
  }

  bool receive_errors() {
    char buffer[4096];
    const int got = ssh_channel_read_nonblocking(channel_.get(), buffer, sizeof buffer, 1);
    if (got <= 0) return false;
    const std::lock_guard lock(mutex_);
    errors_.append(buffer, static_cast<std::size_t>(got));
    keep_end(errors_, kMaxErrorBytes);
    return true;
  }

  void end() {
    hand_over();
    while (receive_errors()) {
    }
    const int status = ssh_channel_get_exit_status(channel_.get());
    const std::lock_guard lock(mutex_);
    ended_ = true;
    exit_status_ = status;
  }

  std::unique_ptr<SshSession> session_;  // the pump's, while it runs
  Channel channel_;                      // the pump's; closed before the session
  const Cancel& cancel_;
  const std::uint64_t idle_timeout_us_;
  const std::string host_;
  Pipe wake_;  // a byte in it ends the pump's wait

  Bytes buffer_ = Bytes(kChunkBytes);  // the pump's, and so are these two
  std::size_t have_ = 0;               // in it, not handed on yet
  std::uint64_t streak_bytes_ = 0;     // that came without a pause
  Bytes current_;                      // the reader's
  std::size_t current_at_ = 0;
  bool was_silent_ = false;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Bytes> incoming_;
  std::size_t queued_bytes_ = 0;
  Bytes outgoing_;
  std::string errors_;
  int exit_status_ = -1;  // -1: ended without one
  bool ended_ = false;
  bool stop_ = false;
  std::exception_ptr failure_;

  std::thread pump_;
};

// Of those that there are, the one for a server that says "Linux aarch64", say, of itself.
const AgentFile& fitting_agent(const std::vector<AgentFile>& agents, const std::string& server,
                               const std::string& host) {
  std::string machines;
  for (const AgentFile& agent : agents) {
    if (server == "Linux " + agent.machine) return agent;
    machines += (machines.empty() ? "" : " and ") + agent.machine;
  }
  const bool possible = server == "Linux x86_64" || server == "Linux aarch64";
  throw Error(
      ErrorKind::kRefused,
      host + " is a " + printable(server) + " machine, and the agent at hand is for Linux " + machines,
      possible ? "build the agent for that machine, too (deploy/README.md), or set LITEPULL_AGENT to it"
               : "servers must run Linux on x86_64 or aarch64");
}

void upload(SshSession& session, const AgentFile& agent, const Config& config) {
  const CommandResult result =
      session.run(upload_command(agent.build, agent.content.size()), agent.content, kReadyForInput);
  if (result.status == 0 && result.output.find("stored") != std::string::npos) return;
  const bool was_cut = result.errors.find("was cut short") != std::string::npos;
  throw Error(ErrorKind::kFailed,
              config.server_host + ": the agent could not be uploaded: " +
                  (result.errors.empty() ? "status " + std::to_string(result.status) : result.errors),
              was_cut
                  ? "see whether the disk there is full, and whether the login shell's start-up files read "
                    "their input"
                  : "make room in one of these directories, or mount one without noexec");
}

// Of words that were made safe to print.
std::string first_line(const std::string& words) {
  return words.substr(0, words.find("\\x0A"));
}

[[noreturn]] void fail_sudo(const Config& config, const std::string& words, const SudoCall& call) {
  throw Error(ErrorKind::kFailed,
              config.server_host + ": sudo does not start the agent as root: " +
                  first_line(words.substr(words.find("sudo: "))),
              how_to_allow(call, config.app_name, config.remote_backup_dir));
}

// What a person types to see what this login does with a command.
std::string typed_login(const Config& config) {
  std::string text = "ssh ";
  if (config.ssh_config && !config.ssh_config->empty()) text += "-F " + shell_path(*config.ssh_config) + " ";
  if (config.ssh_key) text += "-i " + shell_path(*config.ssh_key) + " ";
  if (config.server_port_given) text += "-p " + std::to_string(config.server_port) + " ";
  return text +
         shell_word((config.server_user.empty() ? "" : config.server_user + "@") + config.server_host) +
         " echo hello";
}

[[noreturn]] void fail_start(const Config& config, SshLink& link, const Greeting& greeting) {
  const std::string words = link.remote_words();
  if (greeting.words == "no-sudo")
    throw Error(ErrorKind::kFailed,
                config.server_host + ": REMOTE_SUDO=yes, but there is no sudo in the PATH",
                "install sudo there, or set SERVER_USER to root or the databases' owner, and REMOTE_SUDO=no");
  if (config.remote_sudo && words.find("sudo: ") != std::string::npos)
    fail_sudo(config, words, sudo_call_of(greeting.noise));
  throw Error(
      ErrorKind::kFailed,
      config.server_host + ": the agent does not start (status " + std::to_string(link.exit_status()) +
          "): " + link.shown_words() + shown_end(greeting.noise, kShownBytes),
      "the login must be able to run programs there: no ForceCommand, no nologin shell, no exit or exec in "
      "its start-up files; try: " +
          typed_login(config));
}

// Nothing was heard for too long, and no greeting. A server that still answers has a login shell that waits.
[[noreturn]] void fail_waiting(const Config& config, std::unique_ptr<SshSession> session,
                               const Greeting& greeting, const Error& silence) {
  if (!session->answers()) throw Error(silence);
  if (greeting.noise.find("litepull sudo ") != std::string::npos)
    throw Error(ErrorKind::kFailed,
                config.server_host + ": sudo has not started the agent within " +
                    std::to_string(config.idle_timeout_s) + " s",
                "look there at what sudo waits for: a module of PAM, a directory service, an entropy source");
  throw Error(
      ErrorKind::kFailed,
      config.server_host +
          ": the login shell never came to run the command: its start-up files wait for input or start "
          "another shell" +
          (greeting.noise.empty() ? "" : "; it said: " + shown_end(greeting.noise, kShownBytes)),
      "try: " + typed_login(config));
}

// What the command for sudo reads before the agent starts.
void name_storage(SshLink& link, const Config& config) {
  const std::string line = config.remote_backup_dir + "\n";
  link.write({reinterpret_cast<const std::uint8_t*>(line.data()), line.size()}, {});
}

}  // namespace

std::unique_ptr<Link> open_ssh_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                    const OnLogin& on_login) {
  const std::vector<AgentFile> agents = read_agents(agent_path);
  auto session = connect_to_server(config, cancel);
  on_login(session->host_key().fingerprint);
  bool uploaded = false, is_broken = false;
  for (;;) {
    const std::vector<AgentFile> tried = is_broken ? std::vector<AgentFile>{} : agents;
    Channel channel = session->execute(config.remote_sudo ? sudo_start_command(tried) : start_command(tried));
    auto link = std::make_unique<SshLink>(std::move(session), std::move(channel), config, cancel);
    Greeting greeting;
    PatientSource patient(*link, patience_us(config.idle_timeout_s));
    const auto error = error_of([&] {
      read_greeting(patient, greeting);
      if (greeting.words != "storage") return;
      name_storage(*link, config);
      greeting.words.clear();
      read_greeting(patient, greeting);
    });
    if (error && link->was_silent()) fail_waiting(config, link->take_session(), greeting, *error);
    if (error) throw Error(*error);
    if (greeting.words == "agent") return link;
    const bool is_missing = greeting.words.starts_with("upload ");
    const int status = link->exit_status();
    const bool cannot_run = status == 126 || status == 127;
    if (uploaded || (!is_missing && (is_broken || !cannot_run))) fail_start(config, *link, greeting);
    session = link->take_session();
    // One that is there and cannot be run (a disk that failed in the middle of an upload) is replaced, too:
    // with no agent named, the server says which kind it takes.
    is_broken = !is_missing;
    if (is_broken) continue;
    upload(*session, fitting_agent(agents, greeting.words.substr(std::strlen("upload ")), config.server_host),
           config);
    uploaded = true;
  }
}

}  // namespace litepull
