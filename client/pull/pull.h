// The pull of an app's set of databases into a staged snapshot, from what is at hand. What becomes of it then
// (published, looked at, put somewhere else) is the caller's.
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
  VerifyMode verify = VerifyMode::kFull;  // of each database, while the next ones are on their way
  std::string agent_path;
  bool read_soon = false;  // by the caller, so that it is to stay in memory; what is verified does anyway
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

// Pulls what differs from what is at hand: what `staging` holds from an interrupted run, and `newest`, which
// is part of the store and has a manifest (null: nothing). When that went wrong for a database, the set is
// pulled once more, so that it is of one moment: that database whole, and the others with what was just
// received as their base. When that is not enough, all are pulled whole. `staging` may be another one
// afterwards.
//
// Throws Error; `staging` is then marked to be kept when the next run is to go on with it.
Pulled pull_set(std::optional<Staging>& staging, const Snapshot* newest, const PullRun& run);

// Throws kFailed, with what is wrong with each, when no database came.
void require_one(const Pull& pull);

// The base for a pull when nothing else is asked for; null when there is none. Not what `latest` means: the
// one that was taken last has the most in common with the server, a safety snapshot and one with a wrong
// time, too. A foreign one only where there is no other, since its pages may still be the same.
const Snapshot* newest_with_manifest(const Listing& listing);

// Whether the next run is to go on with what an interrupted one has. Not when the disk is full because of it.
bool worth_keeping(const Staging& staging);

// Calls `step`. When that is stopped or cut, what is staged is kept; not when it fails for a reason that the
// next run might take along. What an earlier run left is kept also when the server is not reached, or not the
// right one.
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
