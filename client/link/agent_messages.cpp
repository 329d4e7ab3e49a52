#include "client/link/agent_messages.h"

#include "client/link/link.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {

void PatientSource::restart() {
  since_us_ = monotonic_us();
}

std::size_t PatientSource::read(void* buffer, std::size_t size) {
  if (monotonic_us() - since_us_ > patience_us_)
    throw Error(ErrorKind::kFailed, "the agent is alive, but has made no progress for too long",
                "look at the load and the disks of the server, then run this again");
  const std::size_t got = source_.read(buffer, size);
  received_ += got;
  return got;
}

Frame& AgentMessages::next(const std::function<void()>& each_turn) {
  source_.restart();
  do {
    if (each_turn) each_turn();
    if (!reader_.next(frame_)) throw LinkError("the agent's stream ended too early", lost_hint_);
  } while (frame_.type == MessageType::kAlive);
  if (frame_.type == MessageType::kError) throw remote_error(decode_problem(frame_.body));
  return frame_;
}

ByteView AgentMessages::expect(MessageType type) {
  require_peer(next().type == type, "a message out of turn");
  return frame_.body;
}

}  // namespace litepull
