// A snapshot's databases back onto the live server: `litepull restore CONFIG SNAPSHOT --to-server`.
//
// Look, plan, ask, take a safety snapshot, restore, say what is to be done now. Nothing on the server changes
// before the user has said yes, the snapshot's files have been proven here and on the server, and what is
// there is safe here.
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
  bool safety_snapshot = true;         // of what earlier tries have not kept
  bool from_other_server = false;      // the snapshot may be from another source
  std::string agent_path;
};

// How far it came.
enum class RestoreState {
  kPlanned,   // dry_run: nothing was done
  kRestored,  // all of them
  kPartly,    // some of them, and then one failed
  kUnknown,   // the link broke after the agent was told to go on, and before all was heard
};

struct ServerRestore {
  RestorePlan plan;
  RestoreState state = RestoreState::kPlanned;
  RestoreTalk talk;
  // What was there: before the first try, when earlier ones did not end, and last what this one has kept.
  // Empty when there was nothing to save, or that was not wanted.
  std::vector<SafetySnapshot> safety;
  // What the server had a moment before; none when nobody looked.
  std::optional<Manifest> seen;
  // Databases that the app wrote to after the safety snapshot: what it wrote then is in neither.
  std::vector<std::string> written_between;
};

// Throws Error when nothing has changed on the server. `confirm` is shown the plan and throws when the user
// does not want it.
ServerRestore restore_to_server(const Config& config, const ServerRestoreOptions& options,
                                const std::function<void(const RestorePlan&)>& confirm, const Cancel& cancel,
                                Progress& progress, spdlog::logger& log);

int exit_code(const ServerRestore& restore);

}  // namespace litepull
