#pragma once

#include "common/posix.h"

namespace litepull {

// Two connected sockets, both non-blocking and closed on exec.
struct SocketPair {
  Fd ours, theirs;
};
SocketPair make_socket_pair();

}  // namespace litepull
