// A duplex stream of bytes to a running agent, over SSH or over pipes. What comes after it is the same code.
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

struct Greeting {
  // What follows "LITEPULL 1 " in the agent's greeting: "agent", "upload SYSTEM MACHINE", "storage" or
  // "no-sudo". Empty when the stream ended without a greeting.
  std::string words;
  std::string noise;  // the end of what came before, from a start-up file say; not safe to print
};

// Reads up to the end of the greeting's line. It may begin anywhere: the output of a start-up file need not
// end in a newline. What was read so far is in `greeting` also when this throws: Error{kPeer} when no
// greeting comes within `max_noise_bytes`.
void read_greeting(ByteSource& source, Greeting& greeting,
                   std::size_t max_noise_bytes = kMaxGreetingNoiseBytes);

// The agent's own words as an error of ours, safe to print. They are from its side of the wire: an exit code
// that means something else here is not theirs.
Error remote_error(const Problem& problem);

}  // namespace litepull
