// What carries an SSH connection in place of a TCP connection of our own: a channel through a jump host, or a
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

  // Our end, non-blocking; once.
  virtual Fd take_socket() = 0;
  // For messages: "the ProxyCommand of SSH_CONFIG".
  virtual std::string name() const = 0;
  // Why it broke, safe to print; empty as long as nothing is known. From any thread.
  virtual std::string failure() = 0;
};

}  // namespace litepull
