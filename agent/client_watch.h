// Watches whether the client is still there. The agent never outlives the client. It notices the end of its
// input, and also a half-open link, on which nothing arrives any more.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "common/error.h"
#include "common/wire/frame.h"

namespace litepull {

// Standard input with a deadline: read() throws Error{kConnection} when nothing arrives for `silence_ms`.
class DeadlineSource : public ByteSource {
 public:
  DeadlineSource(int fd, std::uint32_t silence_ms) : fd_(fd), silence_ms_(silence_ms) {}

  void set_silence_ms(std::uint32_t silence_ms) { silence_ms_ = silence_ms; }
  // `tick` is called about once a second, whether something arrives or not.
  void on_tick(std::function<void()> tick) { tick_ = std::move(tick); }
  std::size_t read(void* buffer, std::size_t size) override;

 private:
  int fd_;
  std::uint32_t silence_ms_;
  std::function<void()> tick_;
  std::uint64_t ticked_us_ = 0;
};

// Reads the client's messages in a thread of its own. When the client is silent for too long, ends its stream
// or breaks the protocol, the process ends itself within kGraceMs. In that time the databases can be closed
// properly.
class ClientWatch {
 public:
  // Both must live until the process ends.
  ClientWatch(DeadlineSource& source, FrameReader& reader) : source_(source), reader_(reader) {}

  struct Handlers {
    // Gets every message but Ping. Returns false when the message may not come now; may throw Error{kPeer}.
    std::function<bool(const Frame&)> take;
    std::function<void(const Error&)> gone;  // gets the reason; the grace time begins when it returns
    std::function<void()> tick;              // as in DeadlineSource::on_tick
  };
  void start(Handlers handlers);

  static constexpr int kGraceMs = 3'000;

 private:
  DeadlineSource& source_;
  FrameReader& reader_;
};

}  // namespace litepull
