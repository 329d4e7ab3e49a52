// What the agent says of itself and of its errors, whatever it was asked to do.
#pragma once

#include <functional>

#include "common/error.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// The exit status that `job` returns. What it throws is told to the client, and is 1; a cancellation is not
// told, since then there is nobody. Throws when the telling fails.
int run_and_tell(FrameWriter& writer, const std::function<int()>& job);

// Of this moment; after becoming the databases' owner.
Hello make_hello();

// What the run has cost so far.
Done make_done();

}  // namespace litepull
