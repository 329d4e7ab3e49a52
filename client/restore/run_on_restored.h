// The user's own test of a snapshot: restores it to a temporary directory and runs a command of the user
// there. This is the last step of `litepull verify --run`.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/base/run_program.h"
#include "client/restore/source.h"

namespace litepull {

struct TrialOptions {
  std::string command;  // for `sh -c`; empty: none
  int timeout_s = 600;
  std::string temporary_directory = "/tmp";  // the parent of the directory to restore to
  std::vector<std::string> variables{};      // "NAME=value", for the command
};

// Runs the command in a directory that holds the databases of `source`, and removes the directory afterwards.
// After a SIGKILL the next run removes it. The command finds the directory's path in LITEPULL_RESTORED_DIR
// and the snapshot's name in LITEPULL_SNAPSHOT, and may change anything there. Throws what
// RestoreSource::copy_to and run_command throw. A command that fails is no error.
CommandRun run_on_restored(const RestoreSource& source, const TrialOptions& options,
                           const std::function<void(std::string_view)>& output, const Cancel& cancel,
                           Progress& progress);

}  // namespace litepull
