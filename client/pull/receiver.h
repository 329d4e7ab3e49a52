// Receives what an agent sends into drafts. It trusts nothing: it checks every message against the protocol,
// every page against its database, and every file against the server's digest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/base/progress.h"
#include "client/link/agent_messages.h"
#include "client/pull/drafts.h"
#include "client/store/store.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

struct PulledDatabase {
  DatabaseInfo info;
  DatabaseEnd end;                    // when there is no problem
  Digest xxh128{};                    // of the file, without a key
  std::optional<Problem> problem;     // then no file of it is staged
  std::string base;                   // the snapshot whose pages it shares; may be empty
  std::string base_read_at;           // when the server's database was last read whole for that snapshot
  std::uint64_t shared_bytes = 0;     // on disk, with that snapshot's file
  std::uint64_t received_bytes = 0;   // messages about it
  std::optional<std::string> misfit;  // its base led to a wrong file; the reason, empty if not yet known
};

struct Pull {
  Hello hello;
  SetInfo set;
  std::int64_t clock_difference_ms =
      0;                            // between the server's clock and ours, when it said Hello; never negative
  std::int64_t pinned_unix_ms = 0;  // by this machine's clock, when the set was announced
  std::vector<Notice> notices;      // not safe to print as they are
  Unmatched unmatched;              // nor is this
  std::vector<PulledDatabase> databases;
  Done done;
};

using Completed = std::function<void(const PulledDatabase&)>;

// Reads the agent's stream up to its Done message, and sends the page hashes that the agent wants. Each
// database without a problem or a misfit is then a whole file on disk, and `completed` was called with it as
// soon as it was. Drafts of other databases are gone. Throws Error{kPeer} for a broken protocol, the agent's
// own error, and what the link or the disk throws.
Pull receive(AgentMessages& messages, FrameWriter& writer, const Staging& staging, Drafts& drafts,
             Progress& progress, const Completed& completed);

}  // namespace litepull
