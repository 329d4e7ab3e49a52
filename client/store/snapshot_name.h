// The name of a snapshot's directory: local time with its offset from UTC, `2026-11-22T020000+0100`.
// A name says which instant it means without help from the TZ of whoever reads it. Pure functions; an
// unacceptable name is an expected outcome, not an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace litepull {

// Order snapshots by `unix_s`: the hour that a clock change repeats sorts wrongly by name.
struct SnapshotTime {
  std::int64_t unix_s = 0;
  int offset_min = 0;  // east of UTC; only decides how the instant is written

  bool operator==(const SnapshotTime&) const = default;
};

// Exactly `YYYY-MM-DDTHHMMSS+zzzz` or `-zzzz`, a time that exists, the offset at most 14:59. What this
// accepts, format_snapshot_name writes again letter for letter.
std::optional<SnapshotTime> parse_snapshot_name(std::string_view name);

// Precondition: the local year has four digits and the offset is at most 14:59 either way.
std::string format_snapshot_name(SnapshotTime time);

// The instant with the offset this machine's time zone has at that instant.
SnapshotTime local_snapshot_time(std::int64_t unix_s);

}  // namespace litepull
