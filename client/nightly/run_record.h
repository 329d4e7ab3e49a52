// How the last backup of an app went. `status` reads it from `.last-run.json` in the app's directory. A run
// writes it under the app's lock, once when it begins and again when it ends, so a run that was killed has no
// end. Pure values; client/store/store.h reads and writes the file. A record on disk is treated as hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/base/exit_code.h"
#include "client/store/store.h"

namespace litepull {

struct RunFailure {
  std::string at;                // as rfc3339_utc writes it
  std::optional<int> exit_code;  // none if it was killed
  std::string message;           // for a person; not safe to print as it is
  std::string snapshot;          // the name of what it published nevertheless; may be empty

  bool operator==(const RunFailure&) const = default;
};

struct RunRecord {
  std::string started_at;  // these two as rfc3339_utc writes them
  std::string ended_at;    // empty if it still runs or was killed
  int pid = 0;
  int exit_code = 0;                       // once it has ended
  std::string snapshot;                    // the name of what it published; may be empty
  bool after_failure = false;              // the last run before it that was not interrupted was not good
  std::optional<RunFailure> last_failure;  // this run's, or that of the last one before it

  bool ended() const { return !ended_at.empty(); }
  bool good() const { return ended() && exit_code == 0; }
  bool interrupted() const { return ended() && exit_code == kExitInterrupted; }
  // Whether the last run was a failure, as far as it says anything: one that was interrupted does not.
  bool failing() const { return interrupted() ? after_failure : !good(); }
  bool operator==(const RunRecord&) const = default;
};

std::string to_json_text(const RunRecord& record);
// Returns nullopt if the text is not a record. `status` can do without, and the next run writes a new one.
std::optional<RunRecord> parse_run_record(std::string_view text);

// The last failure, if no run is under way. A record without an end is then a failure of its own: that run
// was killed and could not record it.
std::optional<RunFailure> last_failure_of(const RunRecord& record);

// The record of a run that begins now. `earlier` is the record of the run before it.
RunRecord begun_after(const std::optional<RunRecord>& earlier, std::int64_t now_unix_ms, int pid);

// Completes the record of a run. `message` says why `exit_code` is not 0. A run that was interrupted is no
// failure.
void end_run(RunRecord& record, std::int64_t now_unix_ms, int exit_code, const std::string& message,
             const std::string& snapshot);

// The record in a store; nullopt if there is none or it cannot be read.
std::optional<RunRecord> read_run_record(const Store& store);

}  // namespace litepull
