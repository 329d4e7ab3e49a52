// Pulls an app's set of databases into a staged snapshot. The caller then publishes it, looks at it or puts
// it somewhere else.
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <optional>
#include <string>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/link/link.h"
#include "client/pull/receiver.h"
#include "client/store/manifest.h"
#include "client/store/store.h"
#include "client/verify/verify.h"
#include "common/error.h"

namespace litepull {

struct PullOptions {
  VerifyMode verify = VerifyMode::kFull;  // of each database, while the next ones are being received
  std::string agent_path;
  bool read_soon = false;  // the caller reads it soon, so it should stay in memory, as for verification
};

// What every step of a run on one app works with. All is borrowed, and the app's lock is held throughout.
struct AppRun {
  const Store& store;
  const AppLock& lock;
  const Config& config;
  const Cancel& cancel;
  Progress& progress;
  spdlog::logger& log;
};

struct PullRun : AppRun {
  const PullOptions& options;
  OnLogin on_login = {};  // called once for each attempt; may be empty
};

struct Pulled {
  Pull pull;
  Manifest::Wire wire;
  std::unique_ptr<Verifier> verifier;  // at work on what was pulled; borrows the run's Cancel
};

// Pulls what differs from the bases: what `staging` holds from an interrupted run, and `newest`, which is
// part of the store and has a manifest (null: none). When a base led to a wrong file, the set is pulled
// again, so that it is of one moment. Then that database is pulled whole, and the others have what was just
// received as their base. If that fails, too, all are pulled whole. `staging` may be another one afterwards.
//
// Throws Error. `staging` is then marked to be kept when the next run should resume from it.
Pulled pull_set(std::optional<Staging>& staging, const Snapshot* newest, const PullRun& run);

// Throws Error{kFailed} when no database was pulled, and says what is wrong with each.
void require_one(const Pull& pull);

// The usual base for a pull; null when there is none. Not the same as `latest`: the snapshot that was taken
// last has the most in common with the server, even if it is a safety snapshot or has a wrong time. A foreign
// one counts only where there is no other, since its pages may still be the same.
const Snapshot* newest_with_manifest(const Listing& listing);

// Whether the next run should resume from what is staged. False when the disk is nearly full, or when little
// is staged.
bool worth_keeping(const Staging& staging);

// Calls `step`. Keeps what is staged when that is cancelled or the link breaks, but not after other failures,
// whose cause may be in what is staged. What an earlier run left is also kept when the server cannot be
// reached or is not the right one.
template <typename Step>
auto keeping_what_is_there(Staging& staging, Step step) {
  try {
    return step();
  } catch (const LinkError&) {
    if (worth_keeping(staging)) staging.keep();
    throw;
  } catch (const Error& error) {
    const bool unasked = error.kind() == ErrorKind::kConnection || error.kind() == ErrorKind::kConfiguration;
    const bool unreached = unasked && !staging.leftovers().empty();
    if ((error.kind() == ErrorKind::kCancelled || unreached) && worth_keeping(staging)) staging.keep();
    throw;
  }
}

}  // namespace litepull
