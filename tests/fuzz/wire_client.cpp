// Fuzzes every message that a client accepts from an agent.
#include "tests/fuzz/messages.h"

namespace litepull::fuzz {
namespace {

void decode(MessageType type, ByteView body) {
  switch (type) {
    case MessageType::kHello:
      return require_same(decode_hello, body);
    case MessageType::kDatabase:
      return require_same(decode_database, body);
    case MessageType::kSet:
      return require_same(decode_set, body);
    case MessageType::kPages:
      return require_same_pages(body);
    case MessageType::kEnd:
      return require_same(decode_end, body);
    case MessageType::kFailed:
      return require_same(decode_failed, body);
    case MessageType::kDone:
      return require_same(decode_done, body);
    case MessageType::kError:
      return require_same(decode_problem, body);
    case MessageType::kCompared:
      return require_same(decode_compared, body);
    case MessageType::kTarget:
      return require_same(decode_target, body);
    case MessageType::kNeeded:
      return require_same(decode_needed, body);
    case MessageType::kReady:
      return require_same(decode_ready, body);
    case MessageType::kRestored:
      return require_same(decode_restored, body);
    case MessageType::kStorage:
      return require_same(decode_storage, body);
    case MessageType::kNotice:
      return require_same(decode_notice, body);
    case MessageType::kUnmatched:
      return require_same(decode_unmatched, body);
    case MessageType::kFound:
      return require_same(decode_found, body);
    default:
      require_peer(type == MessageType::kAlive || type == MessageType::kPrepared, "a message out of turn");
  }
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  fuzz::accepts({ErrorKind::kPeer}, [&] { fuzz::decode_all({data, size}, fuzz::decode); });
  return 0;
}
