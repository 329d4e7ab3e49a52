#include "client/link/look.h"

#include <algorithm>
#include <limits>

#include "client/base/clock.h"
#include "client/link/agent_messages.h"
#include "client/link/pinger.h"
#include "common/error.h"

namespace litepull {
namespace {

// Does not overflow, whatever the other clock claims.
std::int64_t ahead_ms(std::uint64_t theirs) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(theirs, kMost)) - unix_ms_now();
}

}  // namespace

Look look_around(Link& link, const Config& config) {
  FrameWriter writer(link);
  AgentMessages messages(link, patience_us(config.idle_timeout_s), "run this again");
  LookRequest request;
  request.directory = config.remote_backup_dir;
  request.databases = config.databases;
  request.exclude = config.exclude;
  writer.write(MessageType::kLookRequest, encode(request));
  const Pinger pinger(writer);

  Look look;
  look.hello = decode_hello(messages.expect(MessageType::kHello));
  look.clock_ahead_ms = ahead_ms(look.hello.clock_unix_ms);
  while (messages.next().type == MessageType::kNotice) {
    require_peer(look.notices.size() < kMaxNotices, "too many notices");
    look.notices.push_back(decode_notice(messages.last().body));
  }
  if (messages.last().type == MessageType::kUnmatched) {
    look.unmatched = decode_unmatched(messages.last().body);
    messages.next();
  }
  require_peer(messages.last().type == MessageType::kStorage, "a message out of turn");
  look.storage = decode_storage(messages.last().body);
  std::size_t inventory_bytes = 0;
  while (messages.next().type == MessageType::kFound) {
    require_peer(look.found.size() < kMaxDatabases, "too many databases");
    inventory_bytes += messages.last().body.size();
    require_peer(inventory_bytes <= kMaxInventoryBytes, "too many words on its databases");
    look.found.push_back(decode_found(messages.last().body));
  }
  require_peer(messages.last().type == MessageType::kDone, "a message out of turn");
  decode_done(messages.last().body);
  return look;
}

}  // namespace litepull
