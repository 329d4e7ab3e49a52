// Puts a snapshot's databases back onto the live server: `litepull restore CONFIG SNAPSHOT --to-server`.
//
// The steps are: look, plan, ask, take a safety snapshot, restore, say what to do now. Nothing on the server
// changes before the user has confirmed, the snapshot's files have been proven here and on the server, and a
// snapshot here holds what is on the server.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/pull/backup.h"
#include "client/restore/plan.h"
#include "client/restore/safety.h"
#include "client/restore/talk.h"

namespace litepull {

struct ServerRestoreOptions {
  std::string snapshot;                // as client/store/select_snapshot.h takes it
  std::vector<std::string> databases;  // by name; empty: all that the snapshot has
  bool dry_run = false;                // the plan, and how much differs
  bool safety_snapshot = true;         // of what no earlier try has saved
  bool from_other_server = false;      // the snapshot may be from another source
  std::string agent_path;
};

// How far the restore came.
enum class RestoreState {
  kPlanned,   // dry_run: nothing was done
  kRestored,  // all of them
  kPartly,    // some of them, and then one failed
  kUnknown,   // the link broke after the agent was told to go on and before its last message
};

struct ServerRestore {
  RestorePlan plan;
  RestoreState state = RestoreState::kPlanned;
  RestoreTalk talk;
  // What was on the server: those of earlier tries that did not end, oldest first, and last the one of this
  // try. Empty when there was nothing to save or no safety snapshot was wanted.
  std::vector<SafetySnapshot> safety;
  // What the server had just before; empty when that was not pulled.
  std::optional<Manifest> seen;
  // Databases that the app wrote to after the safety snapshot. No snapshot holds what it wrote then.
  std::vector<std::string> written_between;
};

// Calls `confirm` with the plan; it throws when the user does not want it. When this throws Error, nothing
// has changed on the server.
ServerRestore restore_to_server(const Config& config, const ServerRestoreOptions& options,
                                const std::function<void(const RestorePlan&)>& confirm, const Cancel& cancel,
                                Progress& progress, spdlog::logger& log);

int exit_code(const ServerRestore& restore);

}  // namespace litepull
