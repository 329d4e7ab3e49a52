// What a pull would find on the server, for `litepull check`. Changes nothing anywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "client/config/config.h"
#include "client/link/link.h"
#include "common/wire/protocol.h"

namespace litepull {

struct Look {
  Hello hello;
  std::int64_t clock_ahead_ms = 0;  // the server's clock minus ours
  Storage storage;
  std::vector<Notice> notices;  // not safe to print as they are
  Unmatched unmatched;          // nor is this
  std::vector<Found> found;     // in the order of their names; their strings are not safe to print either
};

// `link` must have just been opened. Throws the agent's own error when it can reach none of the databases.
Look look_around(Link& link, const Config& config);

}  // namespace litepull
