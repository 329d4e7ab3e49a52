// What a pull would find on the server: `litepull check` asks. Changes nothing anywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "client/config/config.h"
#include "client/link/link.h"
#include "common/wire/protocol.h"

namespace litepull {

struct Look {
  Hello hello;
  std::int64_t clock_ahead_ms = 0;  // how far the server's clock is ahead of ours; behind: negative
  Storage storage;
  std::vector<Notice> notices;  // not safe to print as they are
  Unmatched unmatched;          // nor is this
  std::vector<Found> found;     // in the order of their names; what is in them is not safe to print as it is
};

// Over a link that was just opened. Throws the agent's own error when all databases are out of reach.
Look look_around(Link& link, const Config& config);

}  // namespace litepull
