// How an app's backups stand: the newest snapshot one could restore from, its age, and what became of the
// last run. Looks, and changes nothing; needs no lock. Never counted as good: what was not verified ok, what
// is from the future by this machine's clock, what was taken before a restore, what is foreign
// (client/config/origin.h), directories of the old script, and a snapshot whose manifest is damaged or whose
// files are not there in the size that it says.
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
  std::optional<RunRecord> last_run;       // unless kNone
  std::optional<RunFailure> last_failure;  // also when later runs were good
  std::vector<std::string> notes;          // what is newer and not good, and why; what was not checked
  std::size_t foreign = 0;                 // snapshots

  // Precondition: newest. The clock may have been set back a little.
  std::int64_t age_s() const { return std::max<std::int64_t>(now_unix_s - newest->unix_s, 0); }
  bool fresh() const { return newest && age_s() <= std::int64_t{max_age_hours} * 3600; }
  // The last run that is over was not good.
  bool failing() const;
};

AppStatus status_of(const Config& config, std::int64_t now_unix_s);

inline constexpr int kTooOldExitCode = 6;

// 0, or 6 when the newest good snapshot is older than MAX_AGE_HOURS or there is none.
int exit_code(const AppStatus& status);

}  // namespace litepull
