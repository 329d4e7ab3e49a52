// The last step of a run decides which snapshots stay. It is a pure function, without clock and files, and
// cannot fail. The caller lists the snapshots that are ours (client/store/store.h leaves strangers out) and
// removes those that are not kept.
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
  Verified verified = Verified::kPending;  // never kOk for a directory of the old script
  std::string label;                       // shown in the reason; does not by itself keep a snapshot
  bool kept = false;                       // whatever its age
  bool fully = true;                       // verified by integrity_check, not only by quick_check
  std::int64_t order = 0;                  // greater for what was taken later; where equal, the time decides
  bool time_in_doubt = false;              // the server's clock says that it was taken earlier
};

// The counts mean what restic's `forget --keep-*` means; 0 is no rule. A snapshot stays when any rule keeps
// it.
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

// True when a snapshot with this label was taken for a deploy: "pre-deploy", or "pre-deploy " and more.
bool is_pre_deploy(const std::string& label);

// One decision for each snapshot, in the order given. The newest is the one that was taken last. Always kept
// are:
//
// - the newest one of all;
// - the newest one verified ok, and the newest one verified fully, since quick_check passes some files that
//   integrity_check refuses;
// - every one that is marked `kept`;
// - those from the future (client/base/clock.h). They never take the place of another: a clock that was once
//   wrong must not cost the last good copy.
//
// Snapshots taken for a deploy stay while they are among the newest `keep_pre_deploy` of their kind. No other
// rule counts them, so a busy afternoon cannot push out last month. Any other snapshot stays for one of three
// reasons:
//
// - it is at most `retention_days` times 24 hours old;
// - it is one of the last N;
// - it represents one of the last N days (weeks, months, years) that have any, by the local time in the
//   names. A period is represented by its newest verified snapshot, or by its newest if none is verified.
//
// A snapshot that failed its check uses up none of the N. While a rule has places left, it also keeps the
// oldest snapshot.
std::vector<Decision> decide(std::span<const SnapshotFacts> snapshots, const Policy& policy,
                             std::int64_t now_unix_s);

}  // namespace litepull
