#include "tests/support/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace litepull::test {
namespace {

constexpr int kBacklog = 128;

sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd tcp_socket() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("make a socket");
  return fd;
}

}  // namespace

Fd bind_loopback(std::uint16_t port) {
  Fd fd = tcp_socket();
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const sockaddr_in address = loopback_address(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw_errno("bind port " + std::to_string(port));
  return fd;
}

std::uint16_t bound_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno("ask for a port");
  return ntohs(address.sin_port);
}

std::uint16_t free_port() {
  return bound_port(bind_loopback(0).get());
}

bool accepts_connections(std::uint16_t port) {
  const Fd fd = tcp_socket();
  const sockaddr_in address = loopback_address(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

SilentServer::SilentServer() : fd_(bind_loopback(0)) {
  if (::listen(fd_.get(), kBacklog) != 0) throw_errno("listen");
}

}  // namespace litepull::test
