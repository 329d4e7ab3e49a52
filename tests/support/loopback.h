// Loopback sockets for test servers. Failures throw Error{kFailed}.
#pragma once

#include <cstdint>

#include "common/posix.h"

namespace litepull::test {

// A TCP socket bound to 127.0.0.1; port 0 takes a free one. It does not listen.
Fd bind_loopback(std::uint16_t port);
std::uint16_t bound_port(int fd);

// A port that was free a moment ago. Somebody else may take it: try again when they have.
std::uint16_t free_port();

// True when something accepts connections there.
bool accepts_connections(std::uint16_t port);

// A port at which every connection is refused for as long as this object lives.
class ClosedPort {
 public:
  ClosedPort() : fd_(bind_loopback(0)) {}
  std::uint16_t port() const { return bound_port(fd_.get()); }

 private:
  Fd fd_;
};

// A host that accepts connections and never says a word. The kernel's backlog accepts; nobody reads.
class SilentServer {
 public:
  SilentServer();
  std::uint16_t port() const { return bound_port(fd_.get()); }

 private:
  Fd fd_;
};

}  // namespace litepull::test
