// The safety snapshots of restores to the server, and the restores that did not end.
//
// The manifest of a safety snapshot says (`before_restore`) which restore it was taken before, and how far
// that restore has come:
//
//   kSafetyPrepared: the restore has changed nothing on the server yet.
//   kSafetyOpen: the restore may have changed something, and did not end well.
//   kSafetyDone: the restore ended, or a later restore of the same databases did.
//
// It becomes open, on disk, before the agent is told to go on. So a run that is killed leaves it open.
//
// A restore that is run again uses the open ones of its earlier tries. The first holds what was there before
// any of them. A database that is neither in one of them nor the one to be restored was written since then.
// It gets a safety snapshot of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"
#include "client/store/manifest.h"
#include "client/store/store.h"

namespace litepull {

inline constexpr std::string_view kSafetyPrepared = "prepared";
inline constexpr std::string_view kSafetyOpen = "open";
inline constexpr std::string_view kSafetyDone = "done";

struct SafetySnapshot {
  std::string name;
  std::string path;
  Manifest manifest;

  bool open() const { return manifest.before_restore->state == kSafetyOpen; }
};

// The safety snapshots whose restores did not end, in the order in which they were taken. Foreign ones are
// left out, since they hold another server's state.
std::vector<SafetySnapshot> unfinished_safety(const Store& store, const Listing& listing);

// The server's databases as they are staged, and what they are compared with.
struct ServerState {
  const Store& store;
  int dir_fd;
  const std::string& shown;
  const std::vector<Manifest::Database>& databases;  // that are there; entries of the snapshot to be restored
  const std::string& snapshot;                       // that is to be restored
};

// Whether `safety` already holds all that this state would lose. Each database must be the one in `safety`,
// or, when the restore of `safety` may have replaced it, the one that is to be restored. Compares contents,
// not checksums, and ignores the counters in a database's header, which every commit changes. False also when
// a file cannot be read. Throws Error{kCancelled}.
bool is_known(const ServerState& state, const SafetySnapshot& safety, const Cancel& cancel);

// Records how far the restore of `databases` has come. It is on disk when this returns. Writes nothing when
// the manifest says so already.
void set_state(const Store& store, const AppLock& lock, SafetySnapshot& safety,
               const std::vector<std::string>& databases, std::string_view state);

// Call it when a restore of `databases` has ended well. Unfinished ones about no other databases become done.
void finish_safety(const Store& store, const AppLock& lock, const Listing& listing,
                   const std::vector<std::string>& databases);

}  // namespace litepull
