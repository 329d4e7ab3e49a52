// The state of an app's backups: the newest good snapshot, its age, and how the last run went. Reads only,
// and needs no lock. A snapshot is not good if any of these holds:
//
// - it was not verified, or did not pass;
// - it is from the future by this machine's clock;
// - it is a safety snapshot, taken before a restore;
// - it is foreign (client/config/origin.h);
// - the old script left it;
// - its manifest is damaged, or a file does not have the size that the manifest says.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/nightly/run_record.h"

namespace litepull {

struct GoodSnapshot {
  std::string name;
  std::string path;
  std::string label;
  std::int64_t unix_s = 0;
  std::uint64_t size_bytes = 0;
};

enum class RunState { kNone, kRunning, kKilled, kEnded };

struct AppStatus {
  std::string app;
  std::string config;  // the file's path
  std::string directory;
  std::int64_t now_unix_s = 0;
  int max_age_hours = 0;
  std::optional<GoodSnapshot> newest;
  RunState run_state = RunState::kNone;
  std::optional<RunRecord> last_run;       // if run_state is not kNone
  std::optional<RunFailure> last_failure;  // even if later runs were good
  std::vector<std::string> notes;          // newer snapshots that are not good, and why; what was not checked
  std::size_t foreign = 0;                 // how many snapshots are foreign

  // Precondition: newest. Never negative: the clock may have been set back a little.
  std::int64_t age_s() const { return std::max<std::int64_t>(now_unix_s - newest->unix_s, 0); }
  bool fresh() const { return newest && age_s() <= std::int64_t{max_age_hours} * 3600; }
  // Whether the last run that is over was not good.
  bool failing() const;
};

AppStatus status_of(const Config& config, std::int64_t now_unix_s);

inline constexpr int kTooOldExitCode = 6;

// 0, or 6 if the newest good snapshot is older than MAX_AGE_HOURS or there is none.
int exit_code(const AppStatus& status);

}  // namespace litepull
