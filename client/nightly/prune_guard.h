// Limits what retention removes by what is known about the time, so that a wrong clock cannot cost anybody's
// history. Pure functions, between client/store/retention.h and client/nightly/prune.h.
//
// Only `cleanup --yes` is attended. A backup is unattended, and so is `cleanup` without --yes, even at a
// terminal. Of what retention gives up, an unattended run removes
//
// - nothing if this machine's clock is more than a day behind the newest snapshot whose time is not in doubt,
//   or behind the record of the last run. `--yes` does not change this: set the clock, or move the snapshot
//   away whose time is wrong.
// - nothing if the file system's time differs by more than a day, unless the server, which a backup has just
//   asked, agrees with this machine. (If the server disagrees, a backup does not ask for retention at all:
//   see client/pull/backup.cpp.)
// - nothing if this is the first run after a gap. A gap is longer than three days, and more than seven times
//   as long as usual: the median of the last intervals, or a day if there is none. A laptop that was off for
//   months and a clock that jumped look the same. The next backup closes the gap, so the run after that
//   removes again.
// - at most half of the good snapshots, rounded down, and at most half of those that were never checked,
//   rounded up. The oldest go first; later runs remove the rest.
//
// With `--yes`, only the first rule holds.
//
// A snapshot's time is in doubt if this machine's clock was ahead of the server's by more than a day when it
// was taken. Such a snapshot closes no gap, and a clock behind it is not suspect. If all snapshots are in
// doubt, the server's clock is the wrong one, and their times are believed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/store/retention.h"

namespace litepull {

struct TimeEvidence {
  std::int64_t now_unix_s = 0;                       // this machine's clock
  std::optional<std::int64_t> file_system_unix_s{};  // the time that it stamps on files now
  std::optional<std::int64_t> last_run_unix_s{};     // from the record of the last run
  bool server_agrees = false;                        // its clock was asked a moment ago
  std::string own_snapshot{};  // the name of the one that this run has just made; may be empty
};

struct Guarded {
  std::vector<Decision> decisions;  // as given, except that what is held back is kept, with the reason
  std::string note;                 // what the guard held back, for people; empty: nothing
  std::string hint;
};

// `decisions` are what decide() says about `snapshots`, in the same order. `attended`: a person asked to
// remove all of them at once.
Guarded guard(std::span<const SnapshotFacts> snapshots, std::vector<Decision> decisions,
              const TimeEvidence& evidence, bool attended);

}  // namespace litepull
