#include "client/ssh/tcp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace litepull {
namespace {

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

Fd connect_to(const addrinfo& address, std::uint64_t deadline_us, const Cancel& cancel, int& error) {
  Fd socket = start_connect(address, error);
  while (socket && error == EINPROGRESS) {
    cancel.throw_if_requested();
    pollfd waiting{socket.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, kCancelPollMs) > 0) error = socket_error(socket.get());
    if (error == EINPROGRESS && monotonic_us() > deadline_us) error = ETIMEDOUT;
  }
  return error == 0 ? std::move(socket) : Fd();
}

}  // namespace

Fd connect_tcp(const addrinfo& addresses, std::uint64_t timeout_us, const Cancel& cancel, int& error) {
  unsigned count = 0;
  for (const addrinfo* address = &addresses; address != nullptr; address = address->ai_next) ++count;
  const std::uint64_t share_us = timeout_us / count;
  Fd socket;
  for (const addrinfo* address = &addresses; address != nullptr && !socket; address = address->ai_next)
    socket = connect_to(*address, monotonic_us() + share_us, cancel, error);
  const int on = 1;
  if (socket) ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

}  // namespace litepull
