// What the last backup of an app came to, kept in its directory as `.last-run.json` for `status`: written
// when a run begins and again when it ends, under the app's lock, so that one that was killed has begun and
// never ended. Pure values; client/store/store.h reads and writes the file. A record on disk is treated as
// hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/store/store.h"

namespace litepull {

struct RunFailure {
  std::string at;                // as rfc3339_utc writes it
  std::optional<int> exit_code;  // none: it was killed
  std::string message;           // for a person; made printable when it is shown
  std::string snapshot;          // what it published all the same; may be empty

  bool operator==(const RunFailure&) const = default;
};

struct RunRecord {
  std::string started_at;  // these two as rfc3339_utc writes them
  std::string ended_at;    // empty: it runs, or was killed
  int pid = 0;
  int exit_code = 0;                       // once it has ended
  std::string snapshot;                    // the name of what it published; may be empty
  bool after_failure = false;              // the run before it was not good
  std::optional<RunFailure> last_failure;  // this run's, or that of the last one before it

  bool ended() const { return !ended_at.empty(); }
  bool good() const { return ended() && exit_code == 0; }
  bool operator==(const RunRecord&) const = default;
};

std::string to_json_text(const RunRecord& record);
// nullopt when the text is not a record: status can do without, and the next run writes a new one.
std::optional<RunRecord> parse_run_record(std::string_view text);

// The last failure as somebody knows it who finds this record when no run is under way: one that was killed
// could not write down its own.
std::optional<RunFailure> last_failure_of(const RunRecord& record);

// The record of a run that begins now, after the one that `earlier` tells of.
RunRecord begun_after(const std::optional<RunRecord>& earlier, std::int64_t now_unix_ms, int pid);

// Completes the record of a run; `message` says why when `exit_code` is not 0.
void end_run(RunRecord& record, std::int64_t now_unix_ms, int exit_code, const std::string& message,
             const std::string& snapshot);

// What a store holds; nullopt also for a record that cannot be read.
std::optional<RunRecord> read_run_record(const Store& store);

}  // namespace litepull
