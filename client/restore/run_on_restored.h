// The user's own test of a snapshot: it is restored to a temporary directory, and a command of the user's
// says what it is worth. Last step of `litepull verify --run`.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/base/run_program.h"
#include "client/restore/source.h"

namespace litepull {

struct TrialOptions {
  std::string command;  // for `sh -c`; empty: none
  int timeout_s = 600;
  std::string temporary_directory = "/tmp";  // where to restore below
};

// Runs the command in a directory that holds the databases of `source` and that is gone afterwards, whatever
// happens but a SIGKILL; then the next one removes it. The command finds its path in LITEPULL_RESTORED_DIR
// and the snapshot's name in LITEPULL_SNAPSHOT, and may do there what it wants. Throws what
// RestoreSource::copy_to and run_command throw; a command that fails is no error.
CommandRun run_on_restored(const RestoreSource& source, const TrialOptions& options,
                           const std::function<void(std::string_view)>& output, const Cancel& cancel,
                           Progress& progress);

}  // namespace litepull
