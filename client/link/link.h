// A duplex stream of bytes to a running agent, over SSH or over pipes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "common/error.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// The link broke, or nothing was heard over it for too long.
class LinkError : public Error {
 public:
  LinkError(std::string message, std::string hint)
      : Error(ErrorKind::kFailed, std::move(message), std::move(hint)) {}
};

// One thread may call read(), and any may call write(). Both throw Error{kCancelled} soon after a
// cancellation, and LinkError when the link breaks or nothing is received (or accepted) for the idle timeout.
// Destroying a link ends the agent's input, and so the agent.
class Link : public ByteSource, public ByteSink {
 public:
  std::uint64_t received_bytes() const { return received_; }
  std::uint64_t sent_bytes() const { return sent_; }

  // After the end of the stream: what the remote command printed on stderr, or how it ended. Safe to print.
  virtual std::string remote_words() = 0;

 protected:
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> sent_{0};
};

// Called after the login and before anything is started on the server, with the fingerprint of its host key,
// which is empty for TRANSPORT=local. What it throws ends the link.
using OnLogin = std::function<void(const std::string& host_key)>;

// Starts the agent as `config` says and returns once it has read its greeting. Throws Error{kConnection} when
// the host cannot be reached, trusted or logged in to. The other arguments must outlive the link.
std::unique_ptr<Link> open_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                const OnLogin& on_login);

struct Greeting {
  // What follows "LITEPULL 1 " in the agent's greeting: "agent", "upload SYSTEM MACHINE", "storage" or
  // "no-sudo". Empty when the stream ended without a greeting.
  std::string words;
  std::string noise;  // the end of what came before, for example from a start-up file; not safe to print
};

// Reads up to the end of the greeting's line. The greeting may begin anywhere in it, since the output of a
// start-up file need not end in a newline. Throws Error{kPeer} when no greeting comes within
// `max_noise_bytes`. What was read is in `greeting` then, too.
void read_greeting(ByteSource& source, Greeting& greeting,
                   std::size_t max_noise_bytes = kMaxGreetingNoiseBytes);

// The agent's error as one of ours, safe to print. Kinds that mean something else on this side, with an exit
// code of their own (busy, connection, cancelled), become kFailed.
Error remote_error(const Problem& problem);

}  // namespace litepull
