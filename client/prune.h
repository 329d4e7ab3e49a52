// Retention applied to a store: what `litepull cleanup` does, and a good backup at its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/retention.h"
#include "client/store.h"

namespace litepull {

struct PruneResult {
  std::vector<Decision> decisions;   // one for each snapshot, oldest first
  std::vector<Stranger> strangers;   // what was not looked at, and why
  std::vector<std::string> removed;  // names; with `dry_run` none
};

PruneResult prune(const Store& store, const AppLock& lock, int retention_days, std::int64_t now_unix_s,
                  bool dry_run);

}  // namespace litepull
