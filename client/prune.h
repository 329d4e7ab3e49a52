// Retention applied to a store: what `litepull cleanup` does, and a good backup at its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/config.h"
#include "client/retention.h"
#include "client/store.h"

namespace litepull {

struct PruneResult {
  std::vector<Decision> decisions;  // one for each snapshot, oldest first
  std::vector<Stranger> strangers;  // what was not looked at, and why
};

// By the configuration's policy. A foreign snapshot is kept, and takes no other's place: no rule sees it.
PruneResult plan_prune(const Store& store, const Config& config, std::int64_t now_unix_s);

// Removes what the plan does not keep; `removed` gets the names as they go, also when a later one throws.
PruneResult prune(const Store& store, const AppLock& lock, const Config& config, std::int64_t now_unix_s,
                  std::vector<std::string>& removed);

}  // namespace litepull
