// What the agent says, message by message, as every conversation with it begins: those that only say that it
// is alive are passed over, its error is thrown as ours, and a stream that ends too early is an error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// Reads while there is patience: an agent that sends a byte now and then is never silent for long.
class PatientSource : public ByteSource {
 public:
  PatientSource(ByteSource& source, std::uint64_t patience_us) : source_(source), patience_us_(patience_us) {
    restart();
  }

  void restart();
  // Throws kFailed when patience is at an end.
  std::size_t read(void* buffer, std::size_t size) override;

 private:
  ByteSource& source_;
  const std::uint64_t patience_us_;
  std::uint64_t since_us_ = 0;
};

class AgentMessages {
 public:
  // The next message that is asked for must be there, whole, when `patience_us` have passed; words of being
  // alive do not count. `lost_hint` is what to do when the stream ends before its time. `source` must outlive
  // this.
  AgentMessages(ByteSource& source, std::uint64_t patience_us, std::string lost_hint)
      : source_(source, patience_us), reader_(source_), lost_hint_(std::move(lost_hint)) {}

  // Throws the agent's own error, LinkError at the end of the stream, kFailed when patience is at an end, and
  // what `each_turn` throws, which is called before every wait.
  Frame& next(const std::function<void()>& each_turn = {});
  // The body of the next message, which must be of this type.
  ByteView expect(MessageType type);
  // The message that next() returned last.
  Frame& last() { return frame_; }

 private:
  PatientSource source_;
  FrameReader reader_;
  const std::string lost_hint_;
  Frame frame_;
};

}  // namespace litepull
