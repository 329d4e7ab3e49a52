#include "client/ssh/session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "client/base/error_of.h"
#include "client/keys/host_trust.h"
#include "client/keys/known_hosts.h"
#include "client/ssh/login.h"
#include "client/ssh/openssh_advice.h"
#include "client/ssh/refused_connection.h"
#include "client/ssh/remote_run.h"
#include "client/ssh/resolve.h"
#include "client/ssh/tcp.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::size_t kShownBannerBytes = 600;
constexpr std::uint64_t kCloseWaitUs = 1'000'000;
constexpr std::uint64_t kSlotWaitUs = 3'000'000;
constexpr int kSlotPollMs = 20;

bool has_aes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return true;  // Apple's have them
#endif
}

// Prefers AES in GCM mode where the processor has instructions for it. That is several times as fast as
// libssh's own preference.
const char* preferred_ciphers() {
  return has_aes() ? "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,"
                     "aes192-ctr,aes128-ctr"
                   : "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes256-ctr,"
                     "aes192-ctr,aes128-ctr";
}

// libssh expands % sequences in paths. In ours a % stands for itself.
std::string escape_percent(const std::string& path) {
  std::string out;
  for (const char c : path) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

}  // namespace

std::string typed_path(const std::string& path) {
  return path.starts_with("~/") ? "~/" + shell_word(path.substr(2)) : shell_path(path);
}

bool has_ended(ssh_channel channel) {
  if (ssh_channel_is_eof(channel) == 0 && ssh_channel_is_closed(channel) == 0) return false;
  return ssh_channel_get_exit_status(channel) != -1 || ssh_channel_is_closed(channel) != 0;
}

void SshSession::SessionCloser::operator()(ssh_session session) const {
  ssh_silent_disconnect(session);  // closes the socket without a wait for the other end
  ssh_free(session);
}

SshSession::SshSession(SshHop hop, std::unique_ptr<Conduit> conduit, const Config& config,
                       const Cancel& cancel)
    : hop_(std::move(hop)),
      config_(config),
      cancel_(cancel),
      conduit_(std::move(conduit)),
      session_(ssh_new()) {
  invariant(session_ != nullptr, "no memory for an SSH session");
  if (conduit_ != nullptr) {
    socket_ = conduit_->take_socket();
  } else {
    connect();
  }
  restart_deadline();
  set_options();
  exchange_keys();
  host_key_ = host_key_of(session_.get(), hop_.shown);
}

SshSession::~SshSession() = default;

void SshSession::log_in(const std::function<void()>& on_trusted) {
  require_trusted(hop_.trust, host_key_, peer_address(), hop_.shown);
  if (on_trusted) on_trusted();
  SshLogin(*this, hop_, config_.connect_timeout_s, cancel_).run();
}

std::string SshSession::setting() const {
  if (hop_.is_jump) return config_.ssh_proxy ? "SSH_PROXY" : "the ProxyJump of SSH_CONFIG";
  return config_.ssh_config ? "SERVER_HOST and SSH_CONFIG" : "SERVER_HOST and SERVER_PORT";
}

std::string SshSession::advice() const {
  return openssh_advice(config_, hop_, cancel_);
}

void SshSession::fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorKind::kConnection, hop_.shown + ": " + message, hint);
}

std::string SshSession::last_error() const {
  const std::string of_conduit = conduit_ != nullptr ? conduit_->failure() : "";
  if (!of_conduit.empty()) return of_conduit;
  return printable(ssh_get_error(session_.get())) + (conduit_ != nullptr ? ", over " + conduit_->name() : "");
}

void SshSession::connect() {
  const Resolved found = resolve(hop_.host, hop_.port, config_.connect_timeout_s, cancel_);
  if (found.addresses == nullptr)
    fail("its address cannot be found: " + found.why,
         advice() + "check " + setting() + " and this machine's network");
  int error = 0;
  socket_ = connect_tcp(*found.addresses, connect_timeout_us(), cancel_, error);
  if (socket_) return;
  fail(std::string("cannot connect: ") + std::strerror(error),
       advice() + "check " + setting() +
           ", the host's firewall (fail2ban may have shut this machine out), and that sshd "
           "runs there");
}

std::uint64_t SshSession::connect_timeout_us() const {
  return std::uint64_t{1'000'000} * static_cast<unsigned>(config_.connect_timeout_s);
}

void SshSession::restart_deadline() {
  deadline_us_ = monotonic_us() + connect_timeout_us();
}

void SshSession::set_options() {
  ssh_session session = session_.get();
  auto set = [&](ssh_options_e option, const void* value) {
    if (ssh_options_set(session, option, value) != SSH_OK)
      fail("an SSH option was refused: " + last_error(), "");
  };
  const bool no_config = false;
  set(SSH_OPTIONS_PROCESS_CONFIG, &no_config);
  set(SSH_OPTIONS_HOST,
      "server");  // libssh requires a name, and does not use it: it gets a socket, and we check the host key
  // libssh refuses '\\', '$' and ',' here, which names of domain users contain. So each login step names the
  // user itself.
  ssh_options_set(session, SSH_OPTIONS_USER, hop_.user.c_str());
  set(SSH_OPTIONS_CIPHERS_C_S, preferred_ciphers());
  set(SSH_OPTIONS_CIPHERS_S_C, preferred_ciphers());
  set(SSH_OPTIONS_COMPRESSION, "no");  // pages are compressed already
  // Otherwise libssh would choose by the keys that it finds in its own files.
  set(SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
  set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  set(SSH_OPTIONS_HOSTKEYS, host_key_algorithms(hop_.trust).c_str());
  if (!hop_.agent_socket.empty() && hop_.agent_socket != "none")
    set(SSH_OPTIONS_IDENTITY_AGENT, escape_percent(hop_.agent_socket).c_str());
  const int socket = socket_.release();  // the session closes it from here on
  set(SSH_OPTIONS_FD, &socket);
  ssh_set_blocking(session, 0);
}

// OpenSSH's server leaves Nagle's algorithm on. Its second small packet in a row waits until we acknowledge
// the first, and the kernel would delay that by 40 ms. The option lasts for a few packets (tcp(7)).
void SshSession::acknowledge_at_once() const {
#ifdef TCP_QUICKACK
  const int on = 1;
  ::setsockopt(ssh_get_fd(session_.get()), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
}

SshSession::Woken SshSession::wait(int wake_fd, int timeout_ms, bool readable, bool acknowledge) const {
  if (acknowledge) acknowledge_at_once();
  // A connection that we do not want to read would end every wait at once, and so would a peer that hung up.
  const int socket = readable ? ssh_get_fd(session_.get()) : -1;
  const bool pending = (ssh_get_poll_flags(session_.get()) & SSH_WRITE_PENDING) != 0;
  const short events = pending ? POLLIN | POLLOUT : POLLIN;
  pollfd waiting[2] = {{socket, events, 0}, {wake_fd, POLLIN, 0}};
  if (::poll(waiting, 2, timeout_ms) <= 0) return Woken::kNot;
  return waiting[1].revents != 0 ? Woken::kByOther : Woken::kByConnection;
}

int SshSession::until_done(const char* doing, int again, const std::function<int()>& step) {
  for (;;) {
    const int result = step();
    if (result != again) return result;
    cancel_.throw_if_requested();
    if (is_encrypted_ && ssh_is_connected(session_.get()) == 0)
      return SSH_ERROR;  // libssh would go on asking
    if (monotonic_us() > deadline_us_) fail_silent(doing);
    wait(-1, kCancelPollMs);
  }
}

void SshSession::fail_silent(const char* doing) const {
  const std::string way = conduit_ == nullptr ? "" : ", over " + conduit_->name();
  const std::string said = conduit_ == nullptr ? "" : conduit_->failure();
  fail("it has not answered within " + std::to_string(config_.connect_timeout_s) + " s while " + doing + way +
           (said.empty() ? "" : " (" + said + ")") + what_it_says(),
       conduit_ == nullptr
           ? "check that sshd is healthy there, or raise CONNECT_TIMEOUT"
           : "check that " + conduit_->name() + " leads to a healthy sshd, or raise CONNECT_TIMEOUT");
}

// What a server shows before the login, such as the address of a page to confirm the login (Tailscale).
std::string SshSession::what_it_says() const {
  char* raw = ssh_get_issue_banner(session_.get());
  if (raw == nullptr) return {};
  std::string text = raw;
  ssh_string_free_char(raw);
  text.erase(text.find_last_not_of(" \r\n") + 1);
  std::erase(text, '\r');
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > kShownBannerBytes) text = text.substr(0, kShownBannerBytes) + "...";
  return text.empty() ? "" : "; the server says: " + printable(text);
}

void SshSession::exchange_keys() {
  std::string first_words;  // kept here, since libssh reads and drops them
  if (until_done("keys were being exchanged", SSH_AGAIN, [&] {
        if (first_words.empty()) first_words = waiting_words(ssh_get_fd(session_.get()));
        return ssh_connect(session_.get());
      }) == SSH_OK) {
    is_encrypted_ = true;
    return;
  }
  const std::string error = last_error();
  const bool is_closed =
      error.find("disconnected") != std::string::npos || error.find("reset by peer") != std::string::npos;
  if (is_closed && ssh_get_serverbanner(session_.get()) == nullptr &&
      (conduit_ == nullptr || !first_words.empty())) {
    const Refusal refusal = refusal_of(first_words);
    fail(refusal.message, refusal.hint);
  }
  if (error.starts_with("kex error"))
    fail("no SSH connection: it offers nothing that is safe and that litepull takes: " + error,
         "update OpenSSH there, or allow one of those algorithms in its sshd_config");
  const std::string port = std::to_string(hop_.port);
  const std::string target = shell_word((hop_.user.empty() ? "" : hop_.user + "@") + hop_.host);
  fail("no SSH connection: " + error,
       "check that " + setting() + " lead to an sshd" +
           (hop_.is_reached_directly && conduit_ == nullptr ? ", and try: ssh -p " + port + " " + target
                                                            : ""));
}

// Empty if unknown, as behind a jump host.
std::string SshSession::peer_address() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[NI_MAXHOST] = {};
  const bool known =
      conduit_ == nullptr &&
      ::getpeername(ssh_get_fd(session_.get()), reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
      ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0;
  return known ? text : "";
}

Channel SshSession::forward(const std::string& host, std::uint16_t port) {
  restart_deadline();
  Channel channel(ssh_channel_new(session_.get()));
  invariant(channel != nullptr, "no memory for an SSH channel");
  if (until_done("the next host was being connected to", SSH_AGAIN, [&] {
        return ssh_channel_open_forward(channel.get(), host.c_str(), port, "127.0.0.1", 0);
      }) != SSH_OK)
    fail("it does not connect to " + known_hosts_name(host, port) + ": " + last_error(),
         "check that address as the jump host sees it, and that its sshd allows forwarding "
         "(AllowTcpForwarding, PermitOpen)");
  return channel;
}

// A server that allows one channel at a time (MaxSessions 1) may not have freed the last one yet.
Channel SshSession::open_channel() {
  for (const std::uint64_t last_try_us = monotonic_us() + kSlotWaitUs;;) {
    Channel channel(ssh_channel_new(session_.get()));
    invariant(channel != nullptr, "no memory for an SSH channel");
    if (until_done("a channel was being opened", SSH_AGAIN,
                   [&] { return ssh_channel_open_session(channel.get()); }) == SSH_OK) {
      had_channel_ = true;
      return channel;
    }
    if (!had_channel_ || ssh_is_connected(session_.get()) == 0 || monotonic_us() > last_try_us)
      fail("no channel: " + last_error(),
           "check that the login may run commands there, and that MaxSessions in its sshd_config is not 0");
    cancel_.throw_if_requested();
    ::poll(nullptr, 0, kSlotPollMs);
  }
}

Channel SshSession::execute(const std::string& command) {
  restart_deadline();
  Channel channel = open_channel();
  if (until_done("the command was being started", SSH_AGAIN,
                 [&] { return ssh_channel_request_exec(channel.get(), command.c_str()); }) != SSH_OK)
    fail("the command was refused: " + last_error(),
         "check that the login may run commands there (no ForceCommand, no nologin shell)");
  return channel;
}

void SshSession::finish(Channel channel) {
  const std::uint64_t deadline_us = monotonic_us() + kCloseWaitUs;
  char dropped[4096];
  while (ssh_channel_is_closed(channel.get()) == 0 && ssh_is_connected(session_.get()) != 0) {
    if (cancel_.requested() || monotonic_us() > deadline_us) return;
    const bool got = ssh_channel_read_nonblocking(channel.get(), dropped, sizeof dropped, 0) > 0 ||
                     ssh_channel_read_nonblocking(channel.get(), dropped, sizeof dropped, 1) > 0;
    if (!got && ssh_channel_is_closed(channel.get()) == 0) wait(-1, kSlotPollMs);
  }
}

bool SshSession::answers() {
  restart_deadline();
  const auto error = error_of([&] {
    const Channel channel(ssh_channel_new(session_.get()));
    invariant(channel != nullptr, "no memory for an SSH channel");
    until_done("a channel was being opened", SSH_AGAIN,
               [&] { return ssh_channel_open_session(channel.get()); });
  });
  if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
  return !error && ssh_is_connected(session_.get()) != 0;
}

CommandResult SshSession::run(const std::string& command, const std::string& input,
                              const std::string& ready) {
  Channel channel = execute(command);
  RemoteRun remote(*this, channel.get(), input, ready, config_.idle_timeout_s, cancel_);
  CommandResult result = remote.run();
  finish(std::move(channel));
  return result;
}

}  // namespace litepull
