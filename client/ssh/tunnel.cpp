#include "client/ssh/tunnel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "client/keys/socket_pair.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
constexpr std::size_t kPacketBytes = 32 * 1024;  // OpenSSH accepts no larger ones
constexpr std::size_t kSmallBytes = 4 * 1024;    // a round that moved less is not a bulk transfer

// Bytes on their way in one direction.
struct Stage {
  Bytes bytes = Bytes(kBufferBytes);
  std::size_t from = 0, end = 0;

  bool empty() const { return from == end; }
};

// Sends without SIGPIPE, which would end us when the other end is gone.
ssize_t send_quietly(int socket, const void* data, std::size_t size) {
#ifdef MSG_NOSIGNAL
  return retry_eintr([&] { return ::send(socket, data, size, MSG_NOSIGNAL); });
#else
  return retry_eintr([&] { return ::send(socket, data, size, 0); });
#endif
}

class SshTunnel : public Conduit {
 public:
  SshTunnel(std::unique_ptr<SshSession> session, Channel channel)
      : session_(std::move(session)), channel_(std::move(channel)) {
    SocketPair pair = make_socket_pair();
    ours_ = std::move(pair.ours);
    inner_ = std::move(pair.theirs);
#ifdef SO_NOSIGPIPE
    const int on = 1;
    ::setsockopt(inner_.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    pump_ = std::thread([this] { run_pump(); });
  }

  ~SshTunnel() override {
    ours_.reset();
    ::shutdown(inner_.get(), SHUT_RDWR);  // wakes the pump
    pump_.join();
  }

  Fd take_socket() override {
    return std::move(ours_);
  }

  std::string name() const override {
    return session_->shown_host();
  }

  std::string failure() override {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void run_pump() {
    try {
      pump();
    } catch (const std::exception& error) {
      fail(error.what());
    }
    ::shutdown(inner_.get(), SHUT_RDWR);  // the inner session sees the end
  }

  void fail(const std::string& why) {
    const std::lock_guard lock(mutex_);
    failure_ = session_->shown_host() + ": " + why;
  }

  void pump() {
    for (;;) {
      const std::size_t moved = take_from_channel() + give_to_inner() + take_from_inner() + give_to_channel();
      if (inner_ended_ && up_.empty()) return;
      if (ssh_is_connected(session_->get()) == 0)
        return fail("the connection was cut: " + session_->last_error());
      if (ssh_channel_is_eof(channel_.get()) != 0 && down_.empty()) return;
      if (moved == 0) wait();
      if (moved < kSmallBytes) session_->acknowledge_at_once();
    }
  }

  std::size_t take_from_channel() {
    if (!down_.empty()) return 0;
    down_.from = down_.end = 0;
    const int got = ssh_channel_read_nonblocking(channel_.get(), down_.bytes.data(), kBufferBytes, 0);
    if (got > 0) down_.end = static_cast<std::size_t>(got);
    return down_.end;
  }

  std::size_t give_to_inner() {
    if (down_.empty()) return 0;
    const ssize_t done = send_quietly(inner_.get(), down_.bytes.data() + down_.from, down_.end - down_.from);
    if (done < 0 && errno != EAGAIN)
      down_.from = down_.end;  // the other end is gone, and the next read reports it
    if (done > 0) down_.from += static_cast<std::size_t>(done);
    return done > 0 ? static_cast<std::size_t>(done) : 0;
  }

  std::size_t take_from_inner() {
    if (!up_.empty() || inner_ended_) return 0;
    up_.from = up_.end = 0;
    const ssize_t got = retry_eintr([&] { return ::read(inner_.get(), up_.bytes.data(), kBufferBytes); });
    inner_ended_ = got == 0 || (got < 0 && errno != EAGAIN);
    if (got > 0) up_.end = static_cast<std::size_t>(got);
    return up_.end;
  }

  std::size_t give_to_channel() {
    const std::size_t window = ssh_channel_window_size(channel_.get());
    const std::size_t size = std::min({up_.end - up_.from, window, kPacketBytes});
    if (size == 0) return 0;
    const int done =
        ssh_channel_write(channel_.get(), up_.bytes.data() + up_.from, static_cast<std::uint32_t>(size));
    if (done > 0) up_.from += static_cast<std::size_t>(done);
    if (done < 0) up_.from = up_.end;  // the pump finds out about the connection's end
    return done > 0 ? static_cast<std::size_t>(done) : 0;
  }

  // Does not watch a side whose bytes there is no room for. It would end every wait at once.
  void wait() const {
    const bool room = down_.empty();
    const bool pending = (ssh_get_poll_flags(session_->get()) & SSH_WRITE_PENDING) != 0;
    const short outer = static_cast<short>((room ? POLLIN : 0) | (pending ? POLLOUT : 0));
    const short inner = static_cast<short>((up_.empty() ? POLLIN : 0) | (room ? 0 : POLLOUT));
    pollfd waiting[2] = {{outer != 0 ? ssh_get_fd(session_->get()) : -1, outer, 0},
                         {inner != 0 ? inner_.get() : -1, inner, 0}};
    ::poll(waiting, 2, kCancelPollMs);
  }

  std::unique_ptr<SshSession> session_;  // used by the pump alone
  Channel channel_;
  Fd ours_, inner_;
  Stage down_, up_;  // the pump's: to the client, to the server
  bool inner_ended_ = false;
  std::mutex mutex_;
  std::string failure_;  // guarded by it
  std::thread pump_;
};

}  // namespace

std::unique_ptr<Conduit> open_tunnel(std::unique_ptr<SshSession> session, const std::string& host,
                                     std::uint16_t port) {
  Channel channel = session->forward(host, port);
  return std::make_unique<SshTunnel>(std::move(session), std::move(channel));
}

}  // namespace litepull
