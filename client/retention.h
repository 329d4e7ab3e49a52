// The last step of a run: which snapshots stay. A pure function: no clock, no files; the caller lists the
// snapshots that are ours (client/store.h leaves strangers out) and removes what is not kept. Cannot fail.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "client/manifest.h"
#include "client/snapshot_name.h"

namespace litepull {

struct SnapshotFacts {
  std::string name;
  SnapshotTime time;
  Verified verified = Verified::kPending;  // a directory of the old script was never verified
  std::string label;                       // shown in the reason; does not by itself keep a snapshot
  bool pinned = false;                     // kept whatever its age
  bool fully = true;                       // verified by integrity_check, not only by quick_check
};

struct Policy {
  std::int64_t retention_days = 7;
};

struct Decision {
  std::string name;
  bool keep = true;
  std::string reason;  // a short sentence for people
};

// One decision for each snapshot, in the order given. Kept: the newest one verified ok, the newest one
// verified fully (quick_check passes what integrity_check refuses), the newest one of all, every pinned one,
// those at most `retention_days` times 24 hours old, and those from the future. A snapshot from the future
// never takes the place of the newest: a clock that was once wrong must not cost the last good copy.
std::vector<Decision> decide(std::span<const SnapshotFacts> snapshots, const Policy& policy,
                             std::int64_t now_unix_s);

}  // namespace litepull
