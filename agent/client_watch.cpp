#include "agent/client_watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::uint64_t kTickMs = 1'000;

void read_until_gone(FrameReader& reader, const std::function<bool(const Frame&)>& take) {
  Frame frame;
  while (reader.next(frame))
    require_peer(frame.type == MessageType::kPing || take(frame), "a message out of turn");
}

}  // namespace

std::size_t DeadlineSource::read(void* buffer, std::size_t size) {
  const std::uint64_t heard_us = monotonic_us();
  for (;;) {
    if (tick_ && monotonic_us() - ticked_us_ >= 1000 * kTickMs) {
      ticked_us_ = monotonic_us();
      tick_();
    }
    pollfd waiting{fd_, POLLIN, 0};
    if (retry_eintr([&] {
          return ::poll(&waiting, 1, static_cast<int>(std::min<std::uint64_t>(kTickMs, silence_ms_)));
        }) > 0)
      return read_some(fd_, buffer, size, "the client's messages");
    if (monotonic_us() - heard_us >= std::uint64_t{1000} * silence_ms_)
      throw Error(ErrorKind::kConnection, "the client has been silent for too long");
  }
}

void ClientWatch::start(Handlers handlers) {
  source_.on_tick(handlers.tick);
  std::thread([this, handlers = std::move(handlers)] {
    try {
      read_until_gone(reader_, handlers.take);
      handlers.gone(Error(ErrorKind::kCancelled, "the client is gone"));
    } catch (const Error& error) {
      // After silence or a broken stream there is no client to tell. A client that breaks the protocol is
      // told so.
      const bool nonsense = error.kind() == ErrorKind::kPeer;
      handlers.gone(nonsense ? error : Error(ErrorKind::kCancelled, "the client is gone"));
    }
    usleep(1000 * kGraceMs);
    _exit(1);
  }).detach();
}

}  // namespace litepull
