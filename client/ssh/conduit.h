// What carries an SSH connection instead of our own TCP connection: a channel through a jump host, or a
// command. It must outlive the session that has its socket.
#pragma once

#include <string>

#include "common/posix.h"

namespace litepull {

class Conduit {
 public:
  Conduit() = default;
  Conduit(const Conduit&) = delete;
  Conduit& operator=(const Conduit&) = delete;
  virtual ~Conduit() = default;

  // Our end, which is non-blocking. Call it once.
  virtual Fd take_socket() = 0;
  // For messages: "the ProxyCommand of SSH_CONFIG".
  virtual std::string name() const = 0;
  // Why it broke, safe to print; empty while nothing is known. Any thread may call it.
  virtual std::string failure() = 0;
};

}  // namespace litepull
