// A duplex stream of bytes to a running agent, over SSH or over pipes. What comes after it is the same code.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/cancel.h"
#include "client/config.h"
#include "common/error.h"
#include "common/frame.h"

namespace litepull {

// The link broke, or nothing was heard over it for too long.
class LinkError : public Error {
 public:
  LinkError(std::string message, std::string hint)
      : Error(ErrorKind::kFailed, std::move(message), std::move(hint)) {}
};

// read() is for one thread, write() for any. Both throw Error{kCancelled} soon after a cancellation, and
// LinkError when the link breaks or nothing is heard (or taken) for the idle timeout. Destroying a link ends
// the agent: its input ends then.
class Link : public ByteSource, public ByteSink {
 public:
  std::uint64_t received_bytes() const { return received_; }
  std::uint64_t sent_bytes() const { return sent_; }

  // After the end of the stream: what the remote command said on stderr, safe to print, and how it ended.
  virtual std::string remote_words() = 0;

 protected:
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> sent_{0};
};

// What is called once the server is known to be there and before anything is started on it, with the
// fingerprint of its host key; empty on this machine. What it throws ends the link.
using OnLogin = std::function<void(const std::string& host_key)>;

// Starts the agent as `config` says and returns once its greeting was read. Throws Error{kConnection} when
// the host cannot be reached, trusted or logged in to. The other arguments must outlive the link.
std::unique_ptr<Link> open_link(const Config& config, const std::string& agent_path, const Cancel& cancel,
                                const OnLogin& on_login);

// Reads up to the agent's greeting line and sets `greeting` to what follows "LITEPULL 1 ": "agent", or what
// the remote command says in place of an agent; empty when the stream ended without one. Returns what came
// before, from a login script say. Throws Error{kPeer} when no such line comes within kMaxGreetingNoiseBytes.
std::string read_greeting(ByteSource& source, std::string& greeting);

// The agent's own words as an error of ours, safe to print. They are from its side of the wire: an exit code
// that means something else here is not theirs.
Error remote_error(const Problem& problem);

}  // namespace litepull
