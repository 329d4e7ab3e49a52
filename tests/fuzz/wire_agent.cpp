// Fuzzes every message that an agent accepts from a client, and the patterns of a request against names.
#include "common/glob.h"
#include "tests/fuzz/messages.h"

namespace litepull::fuzz {
namespace {

// A pattern comes from the client, so this bound alone decides what it costs to match it.
void match(const std::vector<std::string>& globs) {
  for (const char* name : {"production.sqlite3", "tenants/eu/1.sqlite3", "a/b/c/d/e/f/g/h/i/j.db"})
    glob_matches_any(globs, name);
  (void)glob_reach(globs, "a/b");
  (void)glob_covers(globs, "a/b");
}

void decode(MessageType type, ByteView body) {
  switch (type) {
    case MessageType::kRequest:
      require_same(decode_request, body);
      return match(decode_request(body).databases);
    case MessageType::kLookRequest:
      require_same(decode_look_request, body);
      return match(decode_look_request(body).exclude);
    case MessageType::kRestoreRequest:
      return require_same(decode_restore_request, body);
    case MessageType::kHashes:
      return require_same(decode_hashes, body);
    case MessageType::kPut:
      return require_same_pages(body);
    default:
      require_peer(type == MessageType::kPing || type == MessageType::kCommit, "a message out of turn");
  }
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  fuzz::accepts({ErrorKind::kPeer}, [&] { fuzz::decode_all({data, size}, fuzz::decode); });
  return 0;
}
