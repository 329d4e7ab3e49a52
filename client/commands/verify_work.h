// What `litepull verify` does: it chooses snapshots, checks them, notes the result in their manifests, and
// lets the user's own command look at what is good.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/commands/run_apps.h"
#include "client/restore/run_on_restored.h"
#include "client/sandbox/check_file.h"
#include "client/verify/verify_snapshot.h"

namespace litepull {

struct VerifyOptions {
  std::string snapshot = "latest";  // a word for it, or "all"
  CheckDepth depth = CheckDepth::kFull;
  TrialOptions trial;  // no command: none is run
};

// What became of one snapshot.
struct VerifyOutcome {
  enum class Result { kGood, kDamaged, kUnchecked, kGone };

  std::string name;
  std::string path;
  Result result = Result::kGood;
  bool old_script = false;
  SnapshotReport report;
  std::string trouble;     // why it could not be checked, or why its manifest is damaged
  bool recorded = false;   // in the manifest
  std::string unrecorded;  // why not, if it should have been
  double duration_s = 0;
  std::optional<CommandRun> run;  // the user's command, if the snapshot is good
  std::string run_trouble;        // why the command could not be run

  // Good, except for what only the app can judge.
  bool in_part() const { return result == Result::kGood && !report.all_checked(); }
  bool run_failed() const { return !run_trouble.empty() || (run && run->status != 0); }
};

// Returns what became of each snapshot, in the order of their times. Lines that the user's command prints go
// to the board, unless `quiet`. Throws Error if no snapshot fits the word, and Error{kCancelled}.
std::vector<VerifyOutcome> verify_snapshots(const VerifyOptions& options, bool quiet, const AppContext& run);

}  // namespace litepull
