// A TCP connection to a host that answers at several addresses, some of which may be dead.
#pragma once

#include <netdb.h>

#include <cstdint>

#include "client/base/cancel.h"
#include "common/posix.h"

namespace litepull {

// Tries one address after the other. Each gets an equal share of `timeout_us`, so that a dead one leaves time
// for one that works. Returns a connected, non-blocking socket; without one `error` is the last address's
// errno. Throws Error{kCancelled}.
Fd connect_tcp(const addrinfo& addresses, std::uint64_t timeout_us, const Cancel& cancel, int& error);

}  // namespace litepull
