#include "client/ssh_session.h"
#include "client/host_trust.h"
#include "client/known_hosts.h"
#include "client/refused_connection.h"
#include "client/unusable_key.h"
#include "common/shell_word.h"

#include <netdb.h>
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
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace litepull {
namespace {

constexpr std::size_t kMaxCommandOutputBytes = 16 * 1024;

bool has_aes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return true;  // Apple's have them
#endif
}

// AES in GCM mode first where the processor has instructions for it: several times the speed of what libssh
// would prefer.
const char* preferred_ciphers() {
  return has_aes() ? "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,"
                     "aes192-ctr,aes128-ctr"
                   : "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes256-ctr,"
                     "aes192-ctr,aes128-ctr";
}

struct AddressDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

// libssh expands % sequences in paths; ours are meant as they are.
std::string escape_percent(const std::string& path) {
  std::string out;
  for (const char c : path) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

// For a command that is shown to be typed. The file that nobody named is below the home directory.
std::string typed_path(const std::string& path) {
  return path.starts_with("~/") ? "~/" + shell_word(path.substr(2)) : shell_path(path);
}

// A socket that is being connected without blocking, or errno in `error`.
Fd start_connect(const addrinfo& address, int& error) {
#ifdef __linux__
  // In one step: another job may be starting a child right now.
  Fd socket(
      ::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
#else
  Fd socket(::socket(address.ai_family, address.ai_socktype, address.ai_protocol));
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
#endif
  if (!socket) {
    error = errno;
    return {};
  }
  error = ::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  return error == 0 || error == EINPROGRESS ? std::move(socket) : Fd();
}

int socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

bool has_ended(ssh_channel channel) {
  if (ssh_channel_is_eof(channel) == 0 && ssh_channel_is_closed(channel) == 0) return false;
  return ssh_channel_get_exit_status(channel) != -1 || ssh_channel_is_closed(channel) != 0;
}

void SshSession::SessionCloser::operator()(ssh_session session) const {
  ssh_silent_disconnect(session);  // the socket is closed with it; nothing waits for the other end
  ssh_free(session);
}

SshSession::SshSession(SshHop hop, std::unique_ptr<Conduit> conduit, const Config& config,
                       const Cancel& cancel)
    : hop_(std::move(hop)),
      config_(config),
      cancel_(cancel),
      conduit_(std::move(conduit)),
      session_(ssh_new()) {
  check(session_ != nullptr, "no memory for an SSH session");
  if (conduit_ != nullptr) {
    socket_ = conduit_->take_socket();
  } else {
    connect_tcp();
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
  authenticate();
}

std::string SshSession::setting() const {
  if (hop_.is_jump) return config_.ssh_proxy ? "SSH_PROXY" : "the ProxyJump of SSH_CONFIG";
  return config_.ssh_config ? "SERVER_HOST and SSH_CONFIG" : "SERVER_HOST and SERVER_PORT";
}

void SshSession::fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorKind::kConnection, hop_.shown + ": " + message, hint);
}

std::string SshSession::last_error() const {
  const std::string of_conduit = conduit_ != nullptr ? conduit_->failure() : "";
  return of_conduit.empty() ? printable(ssh_get_error(session_.get())) : of_conduit;
}

void SshSession::connect_tcp() {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const std::string port = std::to_string(hop_.port);
  if (const int code = getaddrinfo(hop_.host.c_str(), port.c_str(), &wanted, &raw); code != 0)
    fail(std::string("its address cannot be found: ") + gai_strerror(code),
         "check " + setting() + " and this machine's network");
  const std::unique_ptr<addrinfo, AddressDeleter> addresses(raw);
  int count = 0, error = 0;
  for (const addrinfo* address = raw; address != nullptr; address = address->ai_next) ++count;
  // Each address has its share of the time: one that is dead must not use up that of one that works.
  const std::uint64_t share_us = connect_timeout_us() / static_cast<unsigned>(std::max(count, 1));
  for (const addrinfo* address = raw; address != nullptr && !socket_; address = address->ai_next)
    socket_ = connect_to(*address, monotonic_us() + share_us, error);
  if (!socket_)
    fail(std::string("cannot connect: ") + std::strerror(error),
         "check " + setting() +
             ", the host's firewall (fail2ban may have shut this machine out), and that sshd "
             "runs there");
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Fd SshSession::connect_to(const addrinfo& address, std::uint64_t deadline_us, int& error) const {
  Fd socket = start_connect(address, error);
  while (socket && error == EINPROGRESS) {
    cancel_.throw_if_requested();
    pollfd waiting{socket.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, kCancelPollMs) > 0) error = socket_error(socket.get());
    if (error == EINPROGRESS && monotonic_us() > deadline_us) error = ETIMEDOUT;
  }
  return error == 0 ? std::move(socket) : Fd();
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
      "server");  // libssh wants one: the socket is ours, and so is the check of the host key
  // libssh takes no '\\', '$' or ',' here, which a user of a domain has: each login names its user itself.
  ssh_options_set(session, SSH_OPTIONS_USER, hop_.user.c_str());
  set(SSH_OPTIONS_CIPHERS_C_S, preferred_ciphers());
  set(SSH_OPTIONS_CIPHERS_S_C, preferred_ciphers());
  set(SSH_OPTIONS_COMPRESSION, "no");  // pages are compressed already
  // libssh would choose by what it finds in its own files.
  set(SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
  set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
  set(SSH_OPTIONS_HOSTKEYS, host_key_algorithms(hop_.trust).c_str());
  if (!hop_.agent_socket.empty() && hop_.agent_socket != "none")
    set(SSH_OPTIONS_IDENTITY_AGENT, escape_percent(hop_.agent_socket).c_str());
  const int socket = socket_.release();  // the session closes it from here on
  set(SSH_OPTIONS_FD, &socket);
  ssh_set_blocking(session, 0);
}

// OpenSSH's server leaves Nagle's algorithm on: its second small packet in a row waits until we have
// acknowledged the first, which the kernel would put off for 40 ms. The option lasts for a few packets
// (tcp(7)).
void SshSession::acknowledge_at_once() const {
#ifdef TCP_QUICKACK
  const int on = 1;
  ::setsockopt(ssh_get_fd(session_.get()), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
}

SshSession::Woken SshSession::wait(int wake_fd, int timeout_ms, bool readable, bool acknowledge) const {
  if (acknowledge) acknowledge_at_once();
  // What is not to be read now would end every wait at once, and so would a peer that hung up.
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
    if (monotonic_us() > deadline_us_)
      fail(std::string("it has not answered within ") + std::to_string(config_.connect_timeout_s) +
               " s while " + doing,
           "check that sshd is healthy there, or raise CONNECT_TIMEOUT");
    wait(-1, kCancelPollMs);
  }
}

void SshSession::exchange_keys() {
  std::string first_words;  // which libssh reads and drops
  if (until_done("keys were being exchanged", SSH_AGAIN, [&] {
        if (first_words.empty()) first_words = waiting_words(ssh_get_fd(session_.get()));
        return ssh_connect(session_.get());
      }) == SSH_OK)
    return;
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

// Empty when it is not ours to know, as behind a jump host.
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

void SshSession::note(const std::string& why) {
  notes_.push_back(why);
}

bool SshSession::try_key(const std::string& path, ssh_key key) {
  const int result = until_done("the key was being checked", SSH_AUTH_AGAIN, [&] {
    return ssh_userauth_publickey(session_.get(), hop_.user.c_str(), key);
  });
  if (result == SSH_AUTH_SUCCESS) return true;
  note("the key in " + path + " was refused");
  if (::access((path + "-cert.pub").c_str(), F_OK) == 0)
    note("the certificate beside it is not used: litepull supports none");
  return false;
}

// Those that need no passphrase; the others are remembered.
bool SshSession::try_files() {
  for (const std::string& path : hop_.keys) {
    if (!hop_.key_is_named && ::access(path.c_str(), F_OK) != 0) continue;
    const KeyFile file = fido_kind_of(path).empty() ? load_key(path) : KeyFile{};
    if (file.state == KeyState::kLoaded && try_key(path, file.key.get())) return true;
    if (file.state == KeyState::kLocked) locked_keys_.push_back(path);
    if (file.state != KeyState::kUnreadable) continue;
    const UnusableKey why = why_unusable(path);
    note(why.message + " (" + why.hint + ")");
  }
  return false;
}

bool SshSession::try_agent() {
  if (hop_.agent_socket == "none") return false;
  const int result = until_done("the keys were being checked", SSH_AUTH_AGAIN,
                                [&] { return ssh_userauth_agent(session_.get(), hop_.user.c_str()); });
  return result == SSH_AUTH_SUCCESS;
}

// A passphrase is not asked for in vain: with the public half beside it, the server says beforehand whether
// it would take the key.
bool SshSession::may_fit(const std::string& path) {
  const Key half = load_public_half(path);
  if (half == nullptr) return true;
  const int result = until_done("the key was being checked", SSH_AUTH_AGAIN, [&] {
    return ssh_userauth_try_publickey(session_.get(), hop_.user.c_str(), half.get());
  });
  if (result != SSH_AUTH_SUCCESS) note("the key in " + path + " was refused");
  return result == SSH_AUTH_SUCCESS;
}

bool SshSession::ask_for_keys() {
  for (const std::string& path : locked_keys_) {
    if (!may_fit(path)) continue;
    const Key key = unlock_key(path, cancel_);
    restart_deadline();
    if (key != nullptr && try_key(path, key.get())) return true;
    if (key == nullptr)
      note("the key in " + path + " needs a passphrase, " +
           (has_terminal() ? "and none that opens it was typed" : "there is no terminal to ask for it on") +
           ", and the SSH agent has no key that fits");
  }
  return false;
}

void SshSession::authenticate() {
  if (hop_.keys_before_agent && try_files()) return;
  // A key file that was named, read and refused is the final word; one behind a passphrase may be in the
  // agent.
  const bool refused =
      hop_.key_is_named && locked_keys_.empty() && !notes_.empty() && notes_[0].ends_with("was refused");
  if (!refused && try_agent()) return;
  if (!hop_.keys_before_agent && try_files()) return;
  if (ask_for_keys()) return;
  fail_login();
}

void SshSession::fail_login() const {
  std::string why;
  for (const std::string& text : notes_) why += (why.empty() ? "" : "; ") + text;
  if (why.empty()) why = "neither the SSH agent nor a key in ~/.ssh was accepted";
  if (!locked_keys_.empty())
    fail(
        "login as " + hop_.user + " failed: " + why,
        "run: ssh-add " + typed_path(locked_keys_[0]) +
            " ; for runs at night use a key of its own without a passphrase, and put 'restrict' before it in "
            "~/.ssh/authorized_keys of " +
            hop_.user + " there");
  fail("login as " + hop_.user + " failed: " + why,
       "put the key's .pub line into ~/.ssh/authorized_keys of " + hop_.user + " on " +
           (hop_.is_jump ? "the jump host, or set SSH_KEY and " + setting()
                         : "the server, or set SSH_KEY and SERVER_USER"));
}

Channel SshSession::forward(const std::string& host, std::uint16_t port) {
  restart_deadline();
  Channel channel(ssh_channel_new(session_.get()));
  check(channel != nullptr, "no memory for an SSH channel");
  if (until_done("the next host was being connected to", SSH_AGAIN, [&] {
        return ssh_channel_open_forward(channel.get(), host.c_str(), port, "127.0.0.1", 0);
      }) != SSH_OK)
    fail("it does not connect to " + known_hosts_name(host, port) + ": " + last_error(),
         "check that address as the jump host sees it, and that its sshd allows forwarding "
         "(AllowTcpForwarding, PermitOpen)");
  return channel;
}

Channel SshSession::execute(const std::string& command) {
  Channel channel(ssh_channel_new(session_.get()));
  check(channel != nullptr, "no memory for an SSH channel");
  if (until_done("a channel was being opened", SSH_AGAIN,
                 [&] { return ssh_channel_open_session(channel.get()); }) != SSH_OK)
    fail("no channel: " + last_error(), "check that the login may run commands there");
  if (until_done("the command was being started", SSH_AGAIN,
                 [&] { return ssh_channel_request_exec(channel.get(), command.c_str()); }) != SSH_OK)
    fail("the command was refused: " + last_error(),
         "check that the login may run commands there (no ForceCommand, no nologin shell)");
  return channel;
}

CommandResult SshSession::run(const std::string& command, const std::string& input) {
  restart_deadline();
  const Channel channel = execute(command);
  CommandResult result;
  std::size_t sent = 0;
  bool ended_input = false, broken = false;
  auto drain = [&](int is_stderr, std::string& into) {
    char buffer[4096];
    const int got = ssh_channel_read_nonblocking(channel.get(), buffer, sizeof buffer, is_stderr);
    broken = broken || got == SSH_ERROR;
    if (got > 0 && into.size() < kMaxCommandOutputBytes) into.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  };
  while (!has_ended(channel.get())) {
    cancel_.throw_if_requested();
    bool progress = drain(0, result.output);
    progress = drain(1, result.errors) || progress;
    const std::uint32_t window = ssh_channel_window_size(channel.get());
    if (sent < input.size() && window > 0) {
      const std::size_t size = std::min<std::size_t>({input.size() - sent, window, 32768});
      const int done =
          ssh_channel_write(channel.get(), input.data() + sent, static_cast<std::uint32_t>(size));
      if (done > 0) sent += static_cast<std::size_t>(done);
      progress = progress || done > 0;
    }
    if (sent == input.size() && !ended_input) {
      ssh_channel_send_eof(channel.get());
      ended_input = true;
    }
    if (ssh_is_connected(session_.get()) == 0)
      fail("the connection was cut: " + last_error(), "run this again");
    if (progress) {
      deadline_us_ =
          monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(config_.idle_timeout_s);
    } else {
      if (monotonic_us() > deadline_us_)
        fail("the command has not answered in time", "raise IDLE_TIMEOUT if the link is that slow");
      wait(-1, kCancelPollMs);
    }
  }
  while (drain(0, result.output) || drain(1, result.errors)) {
  }
  result.status = ssh_channel_get_exit_status(channel.get());
  result.errors = printable(result.errors);
  return result;
}

}  // namespace litepull
