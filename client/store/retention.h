// The last step of a run: which snapshots stay. A pure function: no clock, no files; the caller lists the
// snapshots that are ours (client/store/store.h leaves strangers out) and removes what is not kept. Cannot
// fail.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/store/manifest.h"
#include "client/store/snapshot_name.h"

namespace litepull {

struct SnapshotFacts {
  std::string name;
  SnapshotTime time;
  Verified verified = Verified::kPending;  // a directory of the old script was never verified
  std::string label;                       // shown in the reason; does not by itself keep a snapshot
  bool pinned = false;                     // kept whatever its age
  bool fully = true;                       // verified by integrity_check, not only by quick_check
  std::int64_t order = 0;                  // greater for what was taken later; where equal, the time decides
  bool time_in_doubt = false;              // by the server's clock it was taken earlier than its time says
};

// The counts are restic's `forget --keep-*`; 0 is no such rule. A snapshot stays when any rule keeps it.
struct Policy {
  std::optional<std::int64_t> retention_days = 7;
  std::int64_t keep_last = 0;
  std::int64_t keep_daily = 0;
  std::int64_t keep_weekly = 0;  // weeks begin on Monday
  std::int64_t keep_monthly = 0;
  std::int64_t keep_yearly = 0;
  std::int64_t keep_pre_deploy = 5;
};

struct Decision {
  std::string name;
  bool keep = true;
  std::string reason;  // a short sentence for people
};

// Whether a snapshot with this label was taken for a deploy: "pre-deploy", or that and a blank before more.
bool is_pre_deploy(const std::string& label);

// One decision for each snapshot, in the order given. Always kept: the newest one verified ok, the newest one
// verified fully (quick_check passes what integrity_check refuses), the newest one of all, every pinned one,
// and those from the future (client/base/clock.h). The newest is the one that was taken last. A snapshot from
// the future never takes the place of another: a clock that was once wrong must not cost the last good copy.
//
// Of the rest, those taken for a deploy stay while they are among the newest `keep_pre_deploy` of their kind,
// and no other rule looks at them: a busy afternoon must not push out last month. All others stay while they
// are at most `retention_days` times 24 hours old, or as one of the last N, or as the one that stands for one
// of the last N days (weeks, months, years) that have any, by the local time in their names. A period's
// newest verified snapshot stands for it; where none is verified, its newest. What failed its check uses up
// none of the N. While a rule has places left, it keeps the oldest snapshot, too.
std::vector<Decision> decide(std::span<const SnapshotFacts> snapshots, const Policy& policy,
                             std::int64_t now_unix_s);

}  // namespace litepull
