#include "client/ssh_session.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

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

struct KeyDeleter {
  void operator()(ssh_key key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<ssh_key_struct, KeyDeleter>;

struct AddressDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::string fingerprint(ssh_session session) {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session, &raw) != SSH_OK) return "unknown";
  const Key key(raw);
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key.get(), SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) return "unknown";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
  const std::string result =
      std::string(ssh_key_type_to_char(ssh_key_type(key.get()))) + " " + (text ? text : "unknown");
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return result;
}

// libssh expands % sequences in paths; ours are meant as they are.
std::string escape_percent(const std::string& path) {
  std::string out;
  for (const char c : path) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

// Does the file have a line "@revoked HOSTS TYPE KEY" with this key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)?
bool revokes(const std::string& path, const std::string& base64) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string marker, hosts, type, key;
    if (words >> marker >> hosts >> type >> key && marker == "@revoked" && key == base64) return true;
  }
  return false;
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

SshSession::SshSession(const Config& config, const Cancel& cancel)
    : config_(config), cancel_(cancel), session_(ssh_new()) {
  check(session_ != nullptr, "no memory for an SSH session");
  connect_tcp();
  restart_deadline();
  set_options();
  exchange_keys();
  check_host_key();
  authenticate();
}

SshSession::~SshSession() = default;

std::string SshSession::shown_host() const {
  return config_.server_host + (config_.server_port == 22 ? "" : ":" + std::to_string(config_.server_port));
}

void SshSession::fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorKind::kConnection, shown_host() + ": " + message, hint);
}

std::string SshSession::last_error() const {
  return printable(ssh_get_error(session_.get()));
}

void SshSession::connect_tcp() {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const std::string port = std::to_string(config_.server_port);
  if (const int code = getaddrinfo(config_.server_host.c_str(), port.c_str(), &wanted, &raw); code != 0)
    fail(std::string("its address cannot be found: ") + gai_strerror(code),
         "check SERVER_HOST and this machine's network");
  const std::unique_ptr<addrinfo, AddressDeleter> addresses(raw);
  int count = 0, error = 0;
  for (const addrinfo* address = raw; address != nullptr; address = address->ai_next) ++count;
  // Each address has its share of the time: one that is dead must not use up that of one that works.
  const std::uint64_t share_us = connect_timeout_us() / static_cast<unsigned>(std::max(count, 1));
  for (const addrinfo* address = raw; address != nullptr && !socket_; address = address->ai_next)
    socket_ = connect_to(*address, monotonic_us() + share_us, error);
  if (!socket_)
    fail(std::string("cannot connect: ") + std::strerror(error),
         "check SERVER_HOST, SERVER_PORT, the server's firewall, and that sshd runs there");
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
  set(SSH_OPTIONS_HOST, config_.server_host.c_str());
  const unsigned port = config_.server_port;
  set(SSH_OPTIONS_PORT, &port);
  set(SSH_OPTIONS_USER, config_.server_user.c_str());
  set(SSH_OPTIONS_CIPHERS_C_S, preferred_ciphers());
  set(SSH_OPTIONS_CIPHERS_S_C, preferred_ciphers());
  set(SSH_OPTIONS_COMPRESSION, "no");  // pages are compressed already
  if (config_.ssh_known_hosts) {
    set(SSH_OPTIONS_KNOWNHOSTS, escape_percent(*config_.ssh_known_hosts).c_str());
    set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");  // the named file alone is trusted
  }
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
  if (until_done("keys were being exchanged", SSH_AGAIN, [&] { return ssh_connect(session_.get()); }) !=
      SSH_OK)
    fail("no SSH connection: " + last_error(), "check that SERVER_PORT is sshd's, and try: ssh -p " +
                                                   std::to_string(config_.server_port) + " " +
                                                   config_.server_user + "@" + config_.server_host);
}

// libssh passes over lines with a marker. A revoked key is refused for whatever host the line names.
bool SshSession::is_revoked() const {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session_.get(), &raw) != SSH_OK) fail("it shows no host key", "");
  const Key key(raw);
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key.get(), &text) != SSH_OK) fail("its host key cannot be read", "");
  const std::string base64 = text;
  ssh_string_free_char(text);
  if (config_.ssh_known_hosts) return revokes(*config_.ssh_known_hosts, base64);
  const char* home = std::getenv("HOME");
  return (home != nullptr && revokes(std::string(home) + "/.ssh/known_hosts", base64)) ||
         revokes("/etc/ssh/ssh_known_hosts", base64);
}

void SshSession::check_host_key() {
  const std::string file = config_.ssh_known_hosts.value_or("~/.ssh/known_hosts");
  const std::string port = std::to_string(config_.server_port);
  const std::string entry =
      config_.server_port == 22 ? config_.server_host : "[" + config_.server_host + "]:" + port;
  const std::string trust =
      "compare the fingerprint with the server's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there), "
      "then: ssh-keyscan -p " +
      port + " " + config_.server_host + " >> " + file;
  const std::string shown = fingerprint(session_.get());
  if (is_revoked())
    fail("its host key (" + shown + ") is marked @revoked in " + file,
         "the key must not be used any more: find out why, and give the server a new one");
  switch (ssh_session_is_known_server(session_.get())) {
    case SSH_KNOWN_HOSTS_OK:
      return;
    case SSH_KNOWN_HOSTS_CHANGED:
      fail("its host key has CHANGED (it is now " + shown +
               "): somebody may be in between, or the server was reinstalled",
           "do not go on before you know why; then remove the old key with: ssh-keygen -f " + file + " -R '" +
               entry + "', and trust the new one");
    case SSH_KNOWN_HOSTS_OTHER:
      fail("it shows a host key of another type (" + shown + ") than the one that " + file + " knows", trust);
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN:
      fail("its host key is not known (" + shown + "): " + file + " has no line for " + entry +
               " that can be read",
           trust);
    case SSH_KNOWN_HOSTS_ERROR:
      break;
  }
  fail("its host key could not be checked: " + last_error(), "check that " + file + " can be read");
}

bool SshSession::authenticate_with_file() {
  ssh_key raw = nullptr;
  // An empty passphrase and no callback: a key that needs one fails here instead of asking in the night.
  const int loaded = ssh_pki_import_privkey_file(config_.ssh_key->c_str(), "", nullptr, nullptr, &raw);
  const Key key(raw);
  if (loaded != SSH_OK) {
    auth_note_ = "the key in " + *config_.ssh_key +
                 " could not be read without a passphrase, and the SSH agent has no key that fits";
    return false;
  }
  const int result = until_done("the key was being checked", SSH_AUTH_AGAIN,
                                [&] { return ssh_userauth_publickey(session_.get(), nullptr, key.get()); });
  if (result != SSH_AUTH_SUCCESS) auth_note_ = "the key in " + *config_.ssh_key + " was refused";
  return result == SSH_AUTH_SUCCESS;
}

bool SshSession::authenticate_with_agent_or_defaults() {
  const int result = until_done("the keys were being checked", SSH_AUTH_AGAIN, [&] {
    return config_.ssh_key ? ssh_userauth_agent(session_.get(), nullptr)
                           : ssh_userauth_publickey_auto(session_.get(), nullptr, "");
  });
  return result == SSH_AUTH_SUCCESS;
}

void SshSession::authenticate() {
  if (config_.ssh_key && authenticate_with_file()) return;
  // A key file that was read and refused is the final word; one behind a passphrase may be in the agent.
  const bool refused = config_.ssh_key && auth_note_.ends_with("was refused");
  if (!refused && authenticate_with_agent_or_defaults()) return;
  if (auth_note_.empty()) auth_note_ = "neither the SSH agent nor a key in ~/.ssh was accepted";
  fail("login as " + config_.server_user + " failed: " + auth_note_,
       "put the key's .pub line into ~/.ssh/authorized_keys of " + config_.server_user +
           " on the server, or set SSH_KEY and SERVER_USER");
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
  result.output = printable(result.output);
  result.errors = printable(result.errors);
  return result;
}

}  // namespace litepull
