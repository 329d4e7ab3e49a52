// The safety snapshots of restores to the server, and the restores that did not end.
//
// A safety snapshot says in its manifest (`before_restore`) which restore it was taken before, and how far
// that came: kSafetyPrepared: nothing has changed on the server since, as far as the restore goes;
// kSafetyOpen: it may have changed something, and did not end well; kSafetyDone: it ended, or a later restore
// of the same databases did. It becomes open, on disk, before the agent is told to go on: a run that is
// killed leaves it open.
//
// A restore that is run again goes on with the open ones of its earlier tries: the first holds what was there
// before any of them. Whatever is there now and in none of them, nor in what is to be restored, was written
// since then, and gets a safety snapshot of its own.
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

// Whose restores did not end, in the order in which they were taken. None that is foreign: another server's
// state is nothing to go on with.
std::vector<SafetySnapshot> unfinished_safety(const Store& store, const Listing& listing);

// What is staged of the server's databases, and what it is compared with.
struct ServerState {
  const Store& store;
  int dir_fd;
  const std::string& shown;
  const std::vector<Manifest::Database>& databases;  // that are there; entries of the snapshot to be restored
  const std::string& snapshot;                       // that is to be restored
};

// Whether nothing would be lost with this state when `safety` is kept: each database is the one that it
// holds, or, when the restore that it belongs to may have got that far, the one that is to be restored.
// Contents are compared, not checksums, but for the counters in a database's header that every commit
// changes. False also when a file cannot be read. Throws kCancelled.
bool is_known(const ServerState& state, const SafetySnapshot& safety, const Cancel& cancel);

// Records how far the restore of `databases` has come. On disk when it returns; nothing is written when that
// is what the manifest says already.
void set_state(const Store& store, const AppLock& lock, SafetySnapshot& safety,
               const std::vector<std::string>& databases, std::string_view state);

// A restore of `databases` has ended well: what was unfinished about these alone is done.
void finish_safety(const Store& store, const AppLock& lock, const Listing& listing,
                   const std::vector<std::string>& databases);

}  // namespace litepull
