// The private key that a run logs in with.
#pragma once

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/preflight/steps.h"

namespace litepull {

// A run at night has nobody to ask for a passphrase, and seldom an SSH agent. The key must work without both.
void try_key(const Config& config, const Cancel& cancel, Steps& steps);

}  // namespace litepull
