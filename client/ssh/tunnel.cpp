#include "client/ssh/tunnel.h"
#include "client/keys/socket_pair.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "client/keys/socket_pair.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
#include "common/wire/bytes.h"

#include "client/keys/socket_pair.h"
namespace litepull {
#include "client/keys/socket_pair.h"
namespace {
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
constexpr std::size_t kBufferBytes = 64 * 1024;
#include "client/keys/socket_pair.h"
constexpr std::size_t kPacketBytes = 32 * 1024;  // what OpenSSH takes at once
#include "client/keys/socket_pair.h"
constexpr std::size_t kSmallBytes = 4 * 1024;  // a turn that moved less is talk, not bulk
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
// Bytes on their way in one direction.
#include "client/keys/socket_pair.h"
struct Stage {
#include "client/keys/socket_pair.h"
  Bytes bytes = Bytes(kBufferBytes);
#include "client/keys/socket_pair.h"
  std::size_t from = 0, end = 0;
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  bool empty() const {
    return from == end;
  }
#include "client/keys/socket_pair.h"
};
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
// Nothing may be sent to a socket whose other end is gone without the signal that would end us.
#include "client/keys/socket_pair.h"
ssize_t send_quietly(int socket, const void* data, std::size_t size) {
#include "client/keys/socket_pair.h"
#ifdef MSG_NOSIGNAL
#include "client/keys/socket_pair.h"
  return retry_eintr([&] { return ::send(socket, data, size, MSG_NOSIGNAL); });
#include "client/keys/socket_pair.h"
#else
#include "client/keys/socket_pair.h"
  return retry_eintr([&] { return ::send(socket, data, size, 0); });
#include "client/keys/socket_pair.h"
#endif
#include "client/keys/socket_pair.h"
}
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
class SshTunnel : public Conduit {
#include "client/keys/socket_pair.h"
 public:
#include "client/keys/socket_pair.h"
  SshTunnel(std::unique_ptr<SshSession> session, Channel channel)
#include "client/keys/socket_pair.h"
      : session_(std::move(session)), channel_(std::move(channel)) {
#include "client/keys/socket_pair.h"
    SocketPair pair = make_socket_pair();
#include "client/keys/socket_pair.h"
    ours_ = std::move(pair.ours);
#include "client/keys/socket_pair.h"
    inner_ = std::move(pair.theirs);
#include "client/keys/socket_pair.h"
#ifdef SO_NOSIGPIPE
#include "client/keys/socket_pair.h"
    const int on = 1;
#include "client/keys/socket_pair.h"
    ::setsockopt(inner_.get(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#include "client/keys/socket_pair.h"
#endif
#include "client/keys/socket_pair.h"
    pump_ = std::thread([this] { run_pump(); });
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  ~SshTunnel() override {
#include "client/keys/socket_pair.h"
    ours_.reset();
#include "client/keys/socket_pair.h"
    ::shutdown(inner_.get(), SHUT_RDWR);  // wakes the pump
#include "client/keys/socket_pair.h"
    pump_.join();
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  Fd take_socket() override {
#include "client/keys/socket_pair.h"
    return std::move(ours_);
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::string name() const override {
#include "client/keys/socket_pair.h"
    return session_->shown_host();
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::string failure() override {
#include "client/keys/socket_pair.h"
    const std::lock_guard lock(mutex_);
#include "client/keys/socket_pair.h"
    return failure_;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
 private:
#include "client/keys/socket_pair.h"
  void run_pump() {
#include "client/keys/socket_pair.h"
    try {
#include "client/keys/socket_pair.h"
      pump();
#include "client/keys/socket_pair.h"
    } catch (const std::exception& error) {
#include "client/keys/socket_pair.h"
      fail(error.what());
#include "client/keys/socket_pair.h"
    }
#include "client/keys/socket_pair.h"
    ::shutdown(inner_.get(), SHUT_RDWR);  // the inner session sees the end
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  void fail(const std::string& why) {
#include "client/keys/socket_pair.h"
    const std::lock_guard lock(mutex_);
#include "client/keys/socket_pair.h"
    failure_ = session_->shown_host() + ": " + why;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  void pump() {
#include "client/keys/socket_pair.h"
    for (;;) {
#include "client/keys/socket_pair.h"
      const std::size_t moved = take_from_channel() + give_to_inner() + take_from_inner() + give_to_channel();
#include "client/keys/socket_pair.h"
      if (inner_ended_ && up_.empty()) return;
#include "client/keys/socket_pair.h"
      if (ssh_is_connected(session_->get()) == 0)
#include "client/keys/socket_pair.h"
        return fail("the connection was cut: " + session_->last_error());
#include "client/keys/socket_pair.h"
      if (ssh_channel_is_eof(channel_.get()) != 0 && down_.empty()) return;
#include "client/keys/socket_pair.h"
      if (moved == 0) wait();
#include "client/keys/socket_pair.h"
      if (moved < kSmallBytes) session_->acknowledge_at_once();
#include "client/keys/socket_pair.h"
    }
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::size_t take_from_channel() {
#include "client/keys/socket_pair.h"
    if (!down_.empty()) return 0;
#include "client/keys/socket_pair.h"
    down_.from = down_.end = 0;
#include "client/keys/socket_pair.h"
    const int got = ssh_channel_read_nonblocking(channel_.get(), down_.bytes.data(), kBufferBytes, 0);
#include "client/keys/socket_pair.h"
    if (got > 0) down_.end = static_cast<std::size_t>(got);
#include "client/keys/socket_pair.h"
    return down_.end;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::size_t give_to_inner() {
#include "client/keys/socket_pair.h"
    if (down_.empty()) return 0;
#include "client/keys/socket_pair.h"
    const ssize_t done = send_quietly(inner_.get(), down_.bytes.data() + down_.from, down_.end - down_.from);
#include "client/keys/socket_pair.h"
    if (done < 0 && errno != EAGAIN) down_.from = down_.end;  // nobody is there any more; the read sees it
#include "client/keys/socket_pair.h"
    if (done > 0) down_.from += static_cast<std::size_t>(done);
#include "client/keys/socket_pair.h"
    return done > 0 ? static_cast<std::size_t>(done) : 0;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::size_t take_from_inner() {
#include "client/keys/socket_pair.h"
    if (!up_.empty() || inner_ended_) return 0;
#include "client/keys/socket_pair.h"
    up_.from = up_.end = 0;
#include "client/keys/socket_pair.h"
    const ssize_t got = retry_eintr([&] { return ::read(inner_.get(), up_.bytes.data(), kBufferBytes); });
#include "client/keys/socket_pair.h"
    inner_ended_ = got == 0 || (got < 0 && errno != EAGAIN);
#include "client/keys/socket_pair.h"
    if (got > 0) up_.end = static_cast<std::size_t>(got);
#include "client/keys/socket_pair.h"
    return up_.end;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::size_t give_to_channel() {
#include "client/keys/socket_pair.h"
    const std::size_t window = ssh_channel_window_size(channel_.get());
#include "client/keys/socket_pair.h"
    const std::size_t size = std::min({up_.end - up_.from, window, kPacketBytes});
#include "client/keys/socket_pair.h"
    if (size == 0) return 0;
#include "client/keys/socket_pair.h"
    const int done =
#include "client/keys/socket_pair.h"
        ssh_channel_write(channel_.get(), up_.bytes.data() + up_.from, static_cast<std::uint32_t>(size));
#include "client/keys/socket_pair.h"
    if (done > 0) up_.from += static_cast<std::size_t>(done);
#include "client/keys/socket_pair.h"
    if (done < 0) up_.from = up_.end;  // the connection's end shows by itself
#include "client/keys/socket_pair.h"
    return done > 0 ? static_cast<std::size_t>(done) : 0;
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  // Neither side is asked for what there is no room for: it would end every wait at once.
#include "client/keys/socket_pair.h"
  void wait() const {
#include "client/keys/socket_pair.h"
    const bool room = down_.empty();
#include "client/keys/socket_pair.h"
    const bool pending = (ssh_get_poll_flags(session_->get()) & SSH_WRITE_PENDING) != 0;
#include "client/keys/socket_pair.h"
    const short outer = static_cast<short>((room ? POLLIN : 0) | (pending ? POLLOUT : 0));
#include "client/keys/socket_pair.h"
    const short inner = static_cast<short>((up_.empty() ? POLLIN : 0) | (room ? 0 : POLLOUT));
#include "client/keys/socket_pair.h"
    pollfd waiting[2] = {{outer != 0 ? ssh_get_fd(session_->get()) : -1, outer, 0},
#include "client/keys/socket_pair.h"
                         {inner != 0 ? inner_.get() : -1, inner, 0}};
#include "client/keys/socket_pair.h"
    ::poll(waiting, 2, kCancelPollMs);
#include "client/keys/socket_pair.h"
  }
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
  std::unique_ptr<SshSession> session_;  // the pump's, from here on
#include "client/keys/socket_pair.h"
  Channel channel_;
#include "client/keys/socket_pair.h"
  Fd ours_, inner_;
#include "client/keys/socket_pair.h"
  Stage down_, up_;  // the pump's: to the client, to the server
#include "client/keys/socket_pair.h"
  bool inner_ended_ = false;
#include "client/keys/socket_pair.h"
  std::mutex mutex_;
#include "client/keys/socket_pair.h"
  std::string failure_;  // guarded by it
#include "client/keys/socket_pair.h"
  std::thread pump_;
#include "client/keys/socket_pair.h"
};
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
}  // namespace
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
std::unique_ptr<Conduit> open_tunnel(std::unique_ptr<SshSession> session, const std::string& host,
#include "client/keys/socket_pair.h"
                                     std::uint16_t port) {
#include "client/keys/socket_pair.h"
  Channel channel = session->forward(host, port);
#include "client/keys/socket_pair.h"
  return std::make_unique<SshTunnel>(std::move(session), std::move(channel));
#include "client/keys/socket_pair.h"
}
#include "client/keys/socket_pair.h"

#include "client/keys/socket_pair.h"
}  // namespace litepull
