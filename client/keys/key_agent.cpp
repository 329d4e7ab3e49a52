#include "client/keys/key_agent.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "client/base/error_of.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAgentMessageBytes = 256 * 1024;  // as OpenSSH has it
constexpr std::size_t kMaxAgentKeys = 2048;                // the same
constexpr int kConnectAgainMs = 20;
constexpr int kForever = -1;

// draft-miller-ssh-agent, section 6.1.
constexpr char kFailure = 5;
constexpr char kRequestIdentities = 11;
constexpr char kIdentitiesAnswer = 12;
constexpr char kSignRequest = 13;
constexpr char kSignResponse = 14;

std::string big_endian(std::size_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::size_t number_at(const std::string& bytes, std::size_t at) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::string with_length(const std::string& bytes) {
  return big_endian(bytes.size()) + bytes;
}

// Takes a string with its length from `rest`; false when it is incomplete.
bool take_string_into(std::string& rest, std::string& into) {
  if (rest.size() < 4 || rest.size() - 4 < number_at(rest, 0)) return false;
  into = rest.substr(4, number_at(rest, 0));
  rest.erase(0, 4 + into.size());
  return true;
}

// A socket that is not connected yet, non-blocking and closed on exec.
Fd new_socket() {
#ifdef __linux__
  return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
#else
  Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
#ifdef SO_NOSIGPIPE
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return socket;
#endif
}

#ifdef MSG_NOSIGNAL
constexpr int kQuietly = MSG_NOSIGNAL;
#else
constexpr int kQuietly = 0;
#endif

}  // namespace

std::string KeyAgent::shown() const {
  return "the SSH agent (" + printable(path_) + ")";
}

bool KeyAgent::give_up(const std::string& why) {
  why_not_ = shown() + " " + why;
  socket_.reset();
  return false;
}

bool KeyAgent::wait(short events, std::uint64_t deadline_us) {
  for (;;) {
    cancel_.throw_if_requested();
    pollfd waiting{socket_.get(), events, 0};
    if (::poll(&waiting, 1, kCancelPollMs) > 0) return true;
    if (monotonic_us() <= deadline_us) continue;
    late_ = true;
    return give_up("has not answered within " + std::to_string(timeout_s_) + " s");
  }
}

// When the queue of an agent that accepts nobody is full, the kernel says EAGAIN at once.
bool KeyAgent::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.empty()) return false;
  if (path_.size() >= sizeof address.sun_path) return give_up("has a path that is too long for a socket");
  std::memcpy(address.sun_path, path_.c_str(), path_.size());
  const std::uint64_t deadline_us =
      monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(timeout_s_);
  socket_ = new_socket();
  if (!socket_) throw_errno("make a socket");
  while (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EISCONN) break;
    if (errno == ENOENT || errno == ECONNREFUSED) {
      socket_.reset();
      return false;
    }
    if (errno != EAGAIN && errno != EINPROGRESS && errno != EALREADY && errno != EINTR)
      return give_up(std::string("cannot be used: ") + std::strerror(errno));
    cancel_.throw_if_requested();
    ::poll(nullptr, 0, kConnectAgainMs);
    if (monotonic_us() <= deadline_us) continue;
    late_ = true;
    return give_up("has not accepted a connection within " + std::to_string(timeout_s_) + " s");
  }
  return true;
}

bool KeyAgent::send_all(const std::string& bytes, std::uint64_t deadline_us) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    if (!wait(POLLOUT, deadline_us)) return false;
    const ssize_t done = retry_eintr(
        [&] { return ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, kQuietly); });
    if (done < 0 && errno != EAGAIN) return give_up(std::string("has closed the connection"));
    if (done > 0) sent += static_cast<std::size_t>(done);
  }
  return true;
}

bool KeyAgent::receive(char* into, std::size_t size, std::uint64_t deadline_us) {
  for (std::size_t have = 0; have < size;) {
    if (!wait(POLLIN, deadline_us)) return false;
    const ssize_t got = retry_eintr([&] { return ::read(socket_.get(), into + have, size - have); });
    if (got == 0 || (got < 0 && errno != EAGAIN)) return give_up("has closed the connection");
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return true;
}

std::string KeyAgent::ask(const std::string& message) {
  if (!socket_) return {};
  const std::uint64_t deadline_us =
      monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(timeout_s_);
  std::string answer(4, '\0');
  if (!send_all(with_length(message), deadline_us) || !receive(answer.data(), 4, deadline_us)) return {};
  const std::size_t size = number_at(answer, 0);
  if (size == 0 || size > kMaxAgentMessageBytes) {
    give_up("gives an answer that is not valid");
    return {};
  }
  answer.resize(size);
  return receive(answer.data(), size, deadline_us) ? answer : std::string();
}

std::vector<AgentKey> KeyAgent::list() {
  std::string answer = ask(std::string(1, kRequestIdentities));
  if (answer.empty() || answer[0] != kIdentitiesAnswer || answer.size() < 5) {
    if (why_not_.empty()) why_not_ = shown() + " does not list its keys";
    return {};
  }
  const std::size_t count = number_at(answer, 1);
  answer.erase(0, 5);
  std::vector<AgentKey> keys;
  for (AgentKey key; keys.size() < std::min(count, kMaxAgentKeys);) {
    if (!take_string_into(answer, key.blob) || !take_string_into(answer, key.comment)) break;
    keys.push_back(key);
  }
  return keys;
}

AgentRelay::AgentRelay(KeyAgent& agent) : agent_(agent) {
  SocketPair pair = make_socket_pair();
  ours_ = std::move(pair.ours);
  theirs_ = std::move(pair.theirs);
  thread_ = std::thread([this] { serve(); });
}

AgentRelay::~AgentRelay() {
  ::shutdown(ours_.get(), SHUT_RDWR);  // ends the thread's wait
  thread_.join();
}

void AgentRelay::offer(const AgentKey& key) {
  const std::lock_guard lock(mutex_);
  offered_ = key;
  refused_ = false;
}

bool AgentRelay::was_refused() {
  const std::lock_guard lock(mutex_);
  return refused_;
}

bool AgentRelay::read_all(char* into, std::size_t size) {
  for (std::size_t have = 0; have < size;) {
    pollfd waiting{ours_.get(), POLLIN, 0};
    ::poll(&waiting, 1, kForever);
    const ssize_t got = retry_eintr([&] { return ::read(ours_.get(), into + have, size - have); });
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return true;
}

// Runs until libssh or the destructor closes the connection. It always answers, because libssh waits for it.
void AgentRelay::serve() {
  std::string message(4, '\0');
  while (message.resize(4), read_all(message.data(), 4)) {
    const std::size_t size = number_at(message, 0);
    message.resize(std::min(size, kMaxAgentMessageBytes));
    if (size != message.size() || !read_all(message.data(), size)) break;
    std::string reply(1, kFailure);
    (void)error_of([&] { reply = answer(message); });  // a cancellation, which the other thread sees as well
    const std::string bytes = with_length(reply);
    for (std::size_t sent = 0; sent < bytes.size();) {
      pollfd room{ours_.get(), POLLOUT, 0};
      ::poll(&room, 1, kForever);
      const ssize_t done = ::send(ours_.get(), bytes.data() + sent, bytes.size() - sent, kQuietly);
      if (done < 0 && errno != EAGAIN && errno != EINTR) break;
      if (done > 0) sent += static_cast<std::size_t>(done);
    }
  }
  ::shutdown(ours_.get(), SHUT_RDWR);  // a reader must not wait any more
}

std::string AgentRelay::answer(const std::string& message) {
  const char type = message.empty() ? '\0' : message[0];
  if (type == kRequestIdentities) {
    const std::lock_guard lock(mutex_);
    return kIdentitiesAnswer + big_endian(1) + with_length(offered_.blob) + with_length(offered_.comment);
  }
  if (type != kSignRequest) return std::string(1, kFailure);
  {
    const std::lock_guard lock(mutex_);
    refused_ = true;
  }
  std::string reply = agent_.ask(message);
  const std::lock_guard lock(mutex_);
  refused_ = reply.empty() || reply[0] != kSignResponse;
  return refused_ ? std::string(1, kFailure) : reply;
}

}  // namespace litepull
