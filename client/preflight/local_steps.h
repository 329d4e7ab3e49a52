// What a run needs on this machine: room, the lock, and a schedule.
#pragma once

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/preflight/server_steps.h"
#include "client/preflight/steps.h"

namespace litepull {

// Whether the snapshots here are from this server. A run stops when the newest is from another.
void try_origin(const Config& config, const ServerFindings& server, Steps& steps);
// Whether the directory for snapshots can be written to, and has room for the next one if its size is known.
void try_local_disk(const Config& config, const ServerFindings& server, Steps& steps);
// Warns if another run is at work.
void try_lock(const Config& config, Steps& steps);
// Warns if git tracks the configuration or snapshots. Says nothing if git cannot be asked.
void try_git(const Config& config, const Cancel& cancel, Steps& steps);
// Warns if litepull has scheduled no run, or the schedule is not enabled.
void try_schedule(const Config& config, const Environment& environment, Steps& steps);

}  // namespace litepull
