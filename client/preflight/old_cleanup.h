// The cleanup.sh of the old pair of scripts. It removes every directory past RETENTION_DAYS, also snapshots
// that are pinned or the last good ones, because it knows nothing of them.
#pragma once

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/preflight/steps.h"

namespace litepull {

// Warns if the user's crontab runs such a script, or if one is beside the configuration, in the project or in
// the workspace. Says nothing if there is none, or no crontab. Runs `crontab -l`; waits a few seconds at
// most. Throws only Error{kCancelled}.
void try_old_cleanup(const Config& config, const Cancel& cancel, Steps& steps);

}  // namespace litepull
