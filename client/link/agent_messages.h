// The agent's messages, one by one. Messages that only say that it is alive are skipped. The agent's error is
// thrown as ours, and a stream that ends too early is an error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// Limits the time that a whole message may take. The idle timeout alone never ends an agent that sends a byte
// now and then.
class PatientSource : public ByteSource {
 public:
  PatientSource(ByteSource& source, std::uint64_t patience_us) : source_(source), patience_us_(patience_us) {
    restart();
  }

  void restart();
  // Throws Error{kFailed} `patience_us` after the last restart().
  std::size_t read(void* buffer, std::size_t size) override;
  std::uint64_t received_bytes() const { return received_; }

 private:
  ByteSource& source_;
  const std::uint64_t patience_us_;
  std::uint64_t since_us_ = 0;
  std::uint64_t received_ = 0;
};

class AgentMessages {
 public:
  // Each message must arrive whole within `patience_us` of next(). Messages that only say that the agent is
  // alive do not restart that time. `lost_hint` is the hint when the stream ends too early. `source` must
  // outlive this.
  AgentMessages(ByteSource& source, std::uint64_t patience_us, std::string lost_hint)
      : source_(source, patience_us), reader_(source_), lost_hint_(std::move(lost_hint)) {}

  // Calls `each_turn` before every wait. Throws the agent's own error, LinkError at the end of the stream,
  // Error{kFailed} when the message takes too long, and what `each_turn` throws.
  Frame& next(const std::function<void()>& each_turn = {});
  // The body of the next message, which must be of this type.
  ByteView expect(MessageType type);
  // The message that next() returned last.
  Frame& last() { return frame_; }
  // Up to the end of that message.
  std::uint64_t received_bytes() const { return source_.received_bytes(); }

 private:
  PatientSource source_;
  FrameReader reader_;
  const std::string lost_hint_;
  Frame frame_;
};

}  // namespace litepull
