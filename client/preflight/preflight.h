// Every step that a nightly run will take, tried one after the other without pulling anything: what is in its
// way is found on a quiet afternoon. Changes nothing but what a run must have anyway: the agent is stored on
// the server when it is not there yet.
#pragma once

#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "common/wire/protocol.h"

namespace litepull {

enum class StepState {
  kOk,
  kWarning,  // a run would do its work; something about it should be known
  kFailed,   // a run would fail, or not be good
  kSkipped,  // cannot be told, since a step before it failed
};

// Safe to print.
struct CheckStep {
  std::string name;  // "host key"
  StepState state = StepState::kOk;
  std::string text;  // what was found
  std::string hint;  // what to type, when that is of use
};

struct CheckReport {
  std::vector<CheckStep> steps;
  Unmatched unmatched;  // what DATABASES passed over; not safe to print as it is
  int exit_code = 0;    // of the run that would fail, as in backup; 0 with nothing but warnings
};

// Does not throw but Error{kCancelled}: what goes wrong is a step.
CheckReport check_app(const Config& config, const Environment& environment, const std::string& agent_path,
                      const Cancel& cancel);

}  // namespace litepull
