#include "client/keys/socket_pair.h"

#include <fcntl.h>
#include <sys/socket.h>

namespace litepull {

SocketPair make_socket_pair() {
  int ends[2] = {-1, -1};
#ifdef __linux__
  // In one step: another job may be starting a child right now.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    throw_errno("make a pair of sockets");
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) throw_errno("make a pair of sockets");
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
#endif
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace litepull
