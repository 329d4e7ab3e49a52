#include "agent/client_watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr int kTickMs = 1'000;

void read_until_gone(FrameReader& reader, const std::function<void(const Hashes&)>& take_hashes) {
  Frame frame;
  while (reader.next(frame)) {
    require_peer(frame.type == MessageType::kPing || frame.type == MessageType::kHashes,
                 "a message out of turn");
    if (frame.type == MessageType::kHashes) take_hashes(decode_hashes(frame.body));
  }
}

}  // namespace

std::size_t DeadlineSource::read(void* buffer, std::size_t size) {
  const std::uint64_t heard_us = monotonic_us();
  for (;;) {
    pollfd waiting{fd_, POLLIN, 0};
    if (retry_eintr(
            [&] { return ::poll(&waiting, 1, std::min<int>(kTickMs, static_cast<int>(silence_ms_))); }) > 0)
      return read_some(fd_, buffer, size, "the client's messages");
    if (tick_) tick_();
    if (monotonic_us() - heard_us >= std::uint64_t{1000} * silence_ms_)
      throw Error(ErrorKind::kConnection, "the client has been silent for too long");
  }
}

void ClientWatch::start(Handlers handlers) {
  source_.on_tick(handlers.tick);
  std::thread([this, handlers = std::move(handlers)] {
    try {
      read_until_gone(reader_, handlers.hashes);
    } catch (const Error&) {
      // Silence, a broken stream and nonsense mean the same: there is no client any more.
    }
    handlers.gone();
    usleep(1000 * kGraceMs);
    _exit(1);
  }).detach();
}

}  // namespace litepull
