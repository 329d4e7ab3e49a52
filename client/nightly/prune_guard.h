// What retention wants to remove, held against what is known of the time: a clock that is wrong must not cost
// anybody's history. Pure functions, between client/store/retention.h and client/nightly/prune.h.
//
// Every run is unattended but `cleanup --yes`: what a backup removes at its end, and a plain `cleanup`, at a
// terminal or not. Of what retention gives up, a run removes
//
// - nothing when this machine's clock is more than a day behind the newest snapshot whose time is not in
//   doubt, or behind the record of the last run. `--yes` does not help: the clock is to be set, or the
//   snapshot whose time is wrong moved away.
// - nothing when the file system has another time by more than a day, unless the server, which a backup has
//   just asked, agrees with this machine. (Where the server does not agree, a backup does not even ask what
//   retention wants: client/pull/backup.cpp.)
// - nothing when this is the first run after a gap: more than seven times as long as usual (the median of the
//   last intervals; a day when there is none) and more than three days. A laptop that was off for months and
//   a clock that jumped look the same. The next backup closes the gap, so the run after that goes on.
// - at most half of the good snapshots, rounded down, and at most half of those that were never checked,
//   rounded up; the oldest first. The rest is for later runs.
//
// A snapshot's time is in doubt when this machine's clock was ahead of the server's by more than a day as it
// was taken. Such a one closes no gap, and no clock is behind it. When all are like that, it is the server's
// clock that is wrong, and they are believed.
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
  std::optional<std::int64_t> file_system_unix_s{};  // what it stamps on files now
  std::optional<std::int64_t> last_run_unix_s{};     // as the record of the last run says
  bool server_agrees = false;                        // another machine, that was asked a moment ago
  std::string own_snapshot{};                        // that this run has just made; may be empty
};

struct Guarded {
  std::vector<Decision> decisions;  // as given; what is not removed yet is kept, with the reason
  std::string note;                 // what the guard did, for people; empty when it did nothing
  std::string hint;
};

// `decisions` are those that decide() makes for `snapshots`, in the same order. `attended`: a person asked
// for all of it at once.
Guarded guard(std::span<const SnapshotFacts> snapshots, std::vector<Decision> decisions,
              const TimeEvidence& evidence, bool attended);

}  // namespace litepull
