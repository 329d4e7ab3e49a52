// Several configurations in one call, side by side under a cap, and signals that stop them in order.
#pragma once

#include <functional>

#include "client/base/cancel.h"

namespace litepull {

// Calls `job(i)` for i = 0 .. count-1, at most `parallel` at a time, each in a thread of its own. SIGINT,
// SIGTERM and SIGHUP request `cancel`, and a SIGINT from the terminal interrupts it; the second one ends the
// process at once. `job` must not throw.
void run_jobs(std::size_t count, int parallel, Cancel& cancel, const std::function<void(std::size_t)>& job);

}  // namespace litepull
