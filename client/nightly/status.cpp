#include "client/nightly/status.h"

#include <algorithm>

#include "client/base/clock.h"
#include "client/base/exit_code.h"
#include "client/config/origin.h"
#include "client/store/file_check.h"
#include "client/store/select_snapshot.h"
#include "client/store/snapshot_files.h"
#include "common/error.h"

namespace litepull {
namespace {

// Returns an empty string if the snapshot is good.
std::string why_not_good(const Store& store, const Snapshot& snapshot, std::int64_t now_unix_s) {
  if (is_from_future(snapshot.time.unix_s, now_unix_s))
    return "it is from the future by this machine's clock";
  if (is_safety_snapshot(snapshot)) return "it holds what was there before a restore";
  if (snapshot.old_script()) return "the old script left it, and nothing proves it";
  switch (snapshot.verified) {
    case Verified::kFailed:
      if (failed_unchecked(*snapshot.manifest))
        return "a database could not be checked; to try again: litepull verify CONFIG " + snapshot.name;
      return "a database is missing or did not pass its check";
    case Verified::kSkipped:
      return "it was not checked; to check it: litepull verify CONFIG " + snapshot.name;
    case Verified::kPending:
      return "its check was not finished; to check it: litepull verify CONFIG " + snapshot.name;
    case Verified::kOk:
      break;
  }
  return has_its_files(store, snapshot) ? "" : "its files are not what its manifest says";
}

GoodSnapshot good(const Store& store, const Snapshot& snapshot) {
  return {snapshot.name, store.path_of(snapshot.name), snapshot.manifest->label, snapshot.time.unix_s,
          snapshot.size_bytes};
}

void note_unchecked(AppStatus& status, const Snapshot& snapshot) {
  std::vector<std::string> parts;
  for (const Manifest::Database& database : snapshot.manifest->databases)
    for (const std::string& part : database.unchecked) parts.push_back(database.name + ": " + part);
  if (!parts.empty()) status.notes.push_back(snapshot.name + " is " + unchecked_text(parts));
}

// One note for all foreign snapshots, even old ones, since none should be there.
void note_foreign(AppStatus& status, const Listing& listing, const Manifest::Server& here) {
  const Snapshot* newest = nullptr;
  for (const Snapshot& snapshot : listing.snapshots) {
    if (!snapshot.foreign()) continue;
    newest = &snapshot;
    ++status.foreign;
  }
  if (newest == nullptr) return;
  const SourceTexts texts = side_by_side(newest->manifest->server, here);
  status.notes.push_back(std::to_string(status.foreign) +
                         (status.foreign == 1 ? " snapshot is" : " snapshots are") + " foreign and do" +
                         (status.foreign == 1 ? "es" : "") + " not count: the newest, " + newest->name +
                         ", came from " + texts.theirs + ", and this configuration names " + texts.ours);
}

void find_newest(AppStatus& status, const Store& store, const Listing& listing) {
  for (auto at = listing.snapshots.rbegin(); at != listing.snapshots.rend() && !status.newest; ++at) {
    if (at->foreign()) continue;
    const std::string why = why_not_good(store, *at, status.now_unix_s);
    if (why.empty()) {
      status.newest = good(store, *at);
      note_unchecked(status, *at);
    } else {
      status.notes.push_back(at->name + " does not count: " + why);
    }
  }
  for (const Stranger& stranger : listing.strangers) {
    const auto time = parse_snapshot_name(stranger.name);
    if (stranger.damaged && time && (!status.newest || time->unix_s > status.newest->unix_s))
      status.notes.push_back(printable(stranger.name) + " does not count: " + printable(stranger.reason));
  }
}

// A run holds the lock to its end. After it was killed the lock is free, or another process has it.
RunState state_of(const Store& store, const RunRecord& record) {
  if (record.ended()) return RunState::kEnded;
  return store.lock_holder() == std::to_string(record.pid) ? RunState::kRunning : RunState::kKilled;
}

void find_last_run(AppStatus& status, const Store& store) {
  const auto record = read_run_record(store);
  if (!record) return;
  status.run_state = state_of(store, *record);
  // The run may have ended between reading the record and looking at the lock.
  status.last_run = status.run_state == RunState::kKilled ? read_run_record(store) : record;
  if (!status.last_run) status.last_run = record;
  if (status.last_run->ended()) status.run_state = RunState::kEnded;
  status.last_failure = status.run_state == RunState::kKilled ? last_failure_of(*status.last_run)
                                                              : status.last_run->last_failure;
}

}  // namespace

bool AppStatus::failing() const {
  switch (run_state) {
    case RunState::kNone:
      return false;
    case RunState::kRunning:
      return last_run->after_failure;
    case RunState::kKilled:
      return true;
    case RunState::kEnded:
      return last_run->failing();
  }
  return false;
}

AppStatus status_of(const Config& config, std::int64_t now_unix_s) {
  AppStatus status;
  status.app = config.app_name;
  status.config = config.file;
  status.now_unix_s = now_unix_s;
  status.max_age_hours = config.max_age_hours;
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  status.directory = store.path();
  if (!store.exists()) status.notes.push_back("there is no " + printable(store.path()) + " yet");
  find_last_run(status,
                store);  // before the listing, so that what a run published that ends meanwhile is in it
  const Listing listing = list_snapshots(store, config);
  find_newest(status, store, listing);
  note_foreign(status, listing, source_of(config));
  return status;
}

int exit_code(const AppStatus& status) {
  return status.fresh() ? 0 : kExitTooOld;
}

}  // namespace litepull
