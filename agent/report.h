// What every session of the agent reports about the agent itself and about its errors.
#pragma once

#include <functional>

#include "common/error.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// Returns the exit status that `job` returns. When `job` throws, tells the client and returns 1. A
// cancellation is not told, because the client is gone then. Throws when the client cannot be told.
int run_and_tell(FrameWriter& writer, const std::function<int()>& job);

// The Hello for this moment. Call it after becoming the databases' owner.
Hello make_hello();

// What the run has cost so far.
Done make_done();

}  // namespace litepull
