#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/loopback.h"

namespace litepull::test {
namespace {

constexpr int kBacklog = 128;
constexpr int kSliceMs = 20;
constexpr int kBucketMs = 2 * kSliceMs;  // what a late wake-up may catch up with
constexpr std::size_t kChunkBytes = 65536;
constexpr std::uint64_t kSmallestBufferBytes = 16384;
constexpr std::uint64_t kLargestBufferBytes = 200'000;  // the kernel's usual cap, net.core.rmem_max
constexpr std::size_t kUp = 0;
constexpr std::size_t kDown = 1;

enum class Moved { kFine, kBroken };

// One direction of one connection.
struct Flow {
  int from;
  int to;
  std::vector<char> pending;  // received, not yet taken by `to`
  bool ended = false;         // `from` will send no more
  bool closed = false;        // and `to` has been told
};

struct Connection {
  Fd client, server;
  std::array<Flow, 2> flows;
  bool silent = false;
  bool draining = false;  // cut with FIN: what still comes is thrown away, so that no RST is sent

  bool done() const { return flows[kUp].closed && flows[kDown].closed; }
};

// About a tenth of a second of a slow link in each buffer; for a fast one the kernel decides.
void prepare(int fd, std::uint64_t rate) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (rate == 0 || rate / 10 > kLargestBufferBytes) return;
  const int size = static_cast<int>(std::max(rate / 10, kSmallestBufferBytes));
  for (const int option : {SO_RCVBUF, SO_SNDBUF}) ::setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

void reset(const Connection& connection) {
  const linger at_once{1, 0};  // close then sends RST
  for (const int fd : {connection.client.get(), connection.server.get()})
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Moved send_pending(Flow& flow) {
  while (!flow.pending.empty()) {
    const ssize_t sent = retry_eintr([&] {
      return ::send(flow.to, flow.pending.data(), flow.pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    });
    if (sent < 0) return errno == EAGAIN || errno == ENOTCONN ? Moved::kFine : Moved::kBroken;
    flow.pending.erase(flow.pending.begin(), flow.pending.begin() + sent);
  }
  if (flow.ended && !flow.closed) {
    ::shutdown(flow.to, SHUT_WR);
    flow.closed = true;
  }
  return Moved::kFine;
}

}  // namespace

// All state, under one mutex; the thread holds it except while it waits in poll, and never blocks elsewhere.
class TcpProxy::Link {
 public:
  explicit Link(std::uint16_t target_port)
      : target_port_(target_port),
        listener_(bind_loopback(0)),
        port_(bound_port(listener_.get())),
        wake_(make_pipe()) {
    for (const int fd : {wake_.read.get(), wake_.write.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    listen();
  }

  std::uint16_t port() const { return port_; }

  template <typename Query>
  std::uint64_t ask(Query query) const {
    const std::lock_guard lock(mutex_);
    return query(*this);
  }

  template <typename Change>
  void change(Change change) {
    const std::lock_guard lock(mutex_);
    change(*this);
    [[maybe_unused]] const ssize_t full_is_fine = ::write(wake_.write.get(), "", 1);
  }

  void refuse(bool refused) {
    if (refused == refused_) return;
    refused_ = refused;
    if (!refused) return listen();
    // Closing alone would not do: poll may hold the socket. The new one keeps the port, without listening.
    ::shutdown(listener_.get(), SHUT_RDWR);
    listener_ = bind_loopback(port_);
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stop) {
      refill();
      if (cut_left == 0U) cut();
      std::vector<pollfd> ready = interests();
      const int timeout_ms = throttled_ ? kSliceMs : -1;
      lock.unlock();
      if (::poll(ready.data(), ready.size(), timeout_ms) < 0) ready.clear();
      lock.lock();
      handle(ready);
    }
  }

  // Changed through `change`, read through `ask`.
  bool stop = false;
  bool frozen = false;
  bool was_cut = false;
  CutMode cut_mode = CutMode::kFin;
  std::optional<std::uint64_t> cut_left;
  std::uint64_t rate = 0;
  std::array<std::uint64_t, 2> bytes{};
  std::uint64_t accepted = 0;

 private:
  void listen() {
    ::fcntl(listener_.get(), F_SETFL, O_NONBLOCK);
    if (::listen(listener_.get(), kBacklog) != 0) throw_errno("listen");
  }

  void refill() {
    const std::uint64_t now_us = monotonic_us();
    const double added = static_cast<double>(rate) * static_cast<double>(now_us - refilled_us_) / 1e6;
    const double most = std::max(1.0, static_cast<double>(rate) * kBucketMs / 1000);
    for (double& allowance : allowance_) allowance = std::min(allowance + added, most);
    refilled_us_ = now_us;
  }

  // Not for a few bytes at a time: tiny reads keep the TCP window shut.
  bool may_read(std::size_t direction) const {
    const double slice =
        std::min(static_cast<double>(rate) * kSliceMs / 1000, static_cast<double>(kChunkBytes));
    return rate == 0 || allowance_[direction] >= std::max(1.0, slice);
  }

  std::vector<pollfd> interests() {
    throttled_ = false;
    std::vector<pollfd> entries{{wake_.read.get(), POLLIN, 0}};
    if (!refused_) entries.push_back({listener_.get(), POLLIN, 0});
    for (const Connection& connection : connections_)
      if (!frozen && !connection.silent)
        for (const std::size_t direction : {kUp, kDown}) add_interest(entries, connection, direction);
    return entries;
  }

  void add_interest(std::vector<pollfd>& entries, const Connection& connection, std::size_t direction) {
    const Flow& flow = connection.flows[direction];
    if (!flow.pending.empty())
      entries.push_back({flow.to, POLLOUT, 0});
    else if (!flow.ended && (connection.draining || may_read(direction)))
      entries.push_back({flow.from, POLLIN, 0});
    else if (!flow.ended)
      throttled_ = true;
  }

  void handle(const std::vector<pollfd>& ready) {
    char ignored[64];
    while (::read(wake_.read.get(), ignored, sizeof ignored) > 0) {
    }
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      const bool keep = frozen || connection->silent || move_bytes(*connection, ready);
      connection = keep ? std::next(connection) : connections_.erase(connection);
    }
    if (!refused_) accept_all();
  }

  // False when the connection is over.
  bool move_bytes(Connection& connection, const std::vector<pollfd>& ready) {
    for (const std::size_t direction : {kUp, kDown}) {
      Flow& flow = connection.flows[direction];
      const int fd = flow.pending.empty() ? flow.from : flow.to;
      const bool has_event = std::any_of(ready.begin(), ready.end(), [&](const pollfd& entry) {
        return entry.fd == fd && entry.revents != 0;
      });
      if (has_event && move_bytes(connection, direction) == Moved::kBroken) {
        reset(connection);
        return false;
      }
    }
    return !connection.done();
  }

  Moved move_bytes(Connection& connection, std::size_t direction) {
    Flow& flow = connection.flows[direction];
    if (flow.pending.empty() && !flow.ended && receive(connection, direction) == Moved::kBroken)
      return Moved::kBroken;
    return send_pending(flow);
  }

  Moved receive(Connection& connection, std::size_t direction) {
    Flow& flow = connection.flows[direction];
    const std::size_t size = connection.draining ? kChunkBytes : allowed(direction);
    if (size == 0) return Moved::kFine;
    flow.pending.resize(size);
    const ssize_t got = retry_eintr(
        [&] { return ::recv(flow.from, flow.pending.data(), flow.pending.size(), MSG_DONTWAIT); });
    flow.pending.resize(got > 0 && !connection.draining ? static_cast<std::size_t>(got) : 0);
    if (got < 0) return errno == EAGAIN ? Moved::kFine : Moved::kBroken;
    flow.ended = got == 0;
    if (!connection.draining) count(direction, flow.pending.size());
    return Moved::kFine;
  }

  std::size_t allowed(std::size_t direction) const {
    std::size_t size = kChunkBytes;
    if (rate > 0) size = std::min(size, static_cast<std::size_t>(allowance_[direction]));
    if (cut_left) size = std::min<std::size_t>(size, *cut_left);
    return size;
  }

  void count(std::size_t direction, std::size_t size) {
    bytes[direction] += size;
    if (rate > 0) allowance_[direction] -= static_cast<double>(size);
    if (cut_left) *cut_left -= size;
  }

  void cut() {
    cut_left.reset();
    was_cut = true;
    for (Connection& connection : connections_) {
      connection.silent = connection.silent || cut_mode == CutMode::kSilence;
      if (cut_mode == CutMode::kReset) reset(connection);
      if (cut_mode == CutMode::kFin) end_orderly(connection);
    }
    if (cut_mode == CutMode::kReset) connections_.clear();
  }

  static void end_orderly(Connection& connection) {
    connection.draining = true;
    for (Flow& flow : connection.flows) {
      send_pending(flow);
      flow.pending.clear();
      ::shutdown(flow.to, SHUT_WR);
    }
  }

  void accept_all() {
    while (true) {
      Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!client) return;
      ++accepted;
      Fd server = connect_to_target();
      const std::array<Flow, 2> flows{Flow{client.get(), server.get(), {}},
                                      Flow{server.get(), client.get(), {}}};
      prepare(client.get(), rate);
      if (server) connections_.push_back({std::move(client), std::move(server), flows});
    }
  }

  // Empty when the target refuses; the client's connection is then closed.
  Fd connect_to_target() const {
    Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!server) return server;
    prepare(server.get(), rate);
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(target_port_);
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int failed = ::connect(server.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target);
    return failed == 0 || errno == EINPROGRESS ? std::move(server) : Fd();
  }

  const std::uint16_t target_port_;
  Fd listener_;
  const std::uint16_t port_;
  Pipe wake_;
  mutable std::mutex mutex_;
  bool refused_ = false;
  bool throttled_ = false;
  std::array<double, 2> allowance_{};
  std::uint64_t refilled_us_ = monotonic_us();
  std::list<Connection> connections_;
};

TcpProxy::TcpProxy(std::uint16_t target_port)
    : link_(std::make_unique<Link>(target_port)), thread_([link = link_.get()] { link->run(); }) {}

TcpProxy::~TcpProxy() {
  link_->change([](Link& link) { link.stop = true; });
  thread_.join();
}

std::uint16_t TcpProxy::port() const {
  return link_->port();
}

void TcpProxy::set_rate(std::uint64_t bytes_per_s) {
  link_->change([&](Link& link) { link.rate = bytes_per_s; });
}

void TcpProxy::cut_after(std::uint64_t bytes, CutMode mode) {
  link_->change([&](Link& link) {
    link.cut_left = bytes;
    link.cut_mode = mode;
    link.was_cut = false;
  });
}

bool TcpProxy::was_cut() const {
  return link_->ask([](const Link& link) { return link.was_cut ? 1U : 0U; }) != 0;
}

void TcpProxy::freeze() {
  link_->change([](Link& link) { link.frozen = true; });
}

void TcpProxy::thaw() {
  link_->change([](Link& link) { link.frozen = false; });
}

void TcpProxy::refuse(bool refused) {
  link_->change([&](Link& link) { link.refuse(refused); });
}

std::uint64_t TcpProxy::bytes_up() const {
  return link_->ask([](const Link& link) { return link.bytes[kUp]; });
}

std::uint64_t TcpProxy::bytes_down() const {
  return link_->ask([](const Link& link) { return link.bytes[kDown]; });
}

std::uint64_t TcpProxy::connections() const {
  return link_->ask([](const Link& link) { return link.accepted; });
}

}  // namespace litepull::test
