// The name of a snapshot's directory: local time with its offset from UTC, `2026-11-22T020000+0100`. A name
// tells its instant whatever the reader's time zone. Pure functions; a name that is not acceptable is an
// expected outcome and no error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace litepull {

// Snapshots are ordered by `unix_s`, because names sort wrongly in the hour that a clock change repeats.
struct SnapshotTime {
  std::int64_t unix_s = 0;
  int offset_min = 0;  // east of UTC; only decides how the instant is written

  bool operator==(const SnapshotTime&) const = default;
};

// Accepts exactly `YYYY-MM-DDTHHMMSS+zzzz` or `-zzzz`, with a time that exists and an offset of at most
// 14:59. format_snapshot_name writes the same letters again.
std::optional<SnapshotTime> parse_snapshot_name(std::string_view name);

// Precondition: the local year has four digits and the offset is at most 14:59 either way.
std::string format_snapshot_name(SnapshotTime time);

// The instant with the offset that this machine's time zone has then.
SnapshotTime local_snapshot_time(std::int64_t unix_s);

}  // namespace litepull
