// Every step that a nightly run will take, tried one after the other without pulling anything. It finds on a
// quiet afternoon what would stop the run at night. It changes one thing, which a run needs anyway: it stores
// the agent on the server if it is not there yet.
#pragma once

#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/preflight/steps.h"
#include "common/wire/protocol.h"

namespace litepull {

struct PreflightReport {
  std::vector<Step> steps;
  Unmatched unmatched;  // databases that no pattern in DATABASES matches; not safe to print as it is
  int exit_code = 0;    // of the run that would fail, as in backup; 0 with nothing but warnings
};

// Throws only Error{kCancelled}: whatever else goes wrong is a step. `agent_path` is the agent to start
// there. `on_step` is called for each step as it ends.
PreflightReport preflight(const Config& config, const Environment& environment, const std::string& agent_path,
                          const Cancel& cancel, const Steps::OnStep& on_step = {});

}  // namespace litepull
