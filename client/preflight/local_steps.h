// What a run needs on this machine: room, the lock, and a schedule.
#pragma once

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/preflight/server_steps.h"
#include "client/preflight/steps.h"

namespace litepull {

// Whether the snapshots here are from this server. A run stops when the newest is from another.
void try_origin(const Config& config, const ServerFindings& server, Steps& steps);
// The directory for snapshots can be written to, and has room for the next one where its size is known.
void try_local_disk(const Config& config, const ServerFindings& server, Steps& steps);
void try_lock(const Config& config, Steps& steps);
// Warns of a configuration or snapshots that git tracks. Says nothing where git cannot be asked.
void try_git(const Config& config, const Cancel& cancel, Steps& steps);
void try_schedule(const Config& config, const Environment& environment, Steps& steps);

}  // namespace litepull
