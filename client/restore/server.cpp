#include "client/restore/server.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/file_digest.h"
#include "client/base/progress.h"
#include "client/config/origin.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "common/error.h"

namespace litepull {
namespace {

RestorePlan plan_of(const Config& config, const Snapshot& snapshot,
                    const std::vector<Manifest::Database>& databases) {
  RestorePlan plan;
  plan.app = config.app_name;
  plan.snapshot = snapshot.name;
  plan.label = snapshot.manifest->label;
  plan.age_s = unix_ms_now() / 1000 - snapshot.time.unix_s;
  plan.verified_at = snapshot.manifest->verified_at;
  plan.where = destination_of(config);
  for (const Manifest::Database& database : databases) plan.databases.push_back({database, {}, {}});
  return plan;
}

std::vector<RestoreFile> open_files(const Store& store, const RestorePlan& plan, const DigestKey& key,
                                    const Cancel& cancel, Progress& progress) {
  const Fd dir = store.open_snapshot(plan.snapshot);
  std::vector<RestoreFile> files;
  for (const RestorePlan::Database& database : plan.databases) {
    progress.step("reading " + printable(database.entry.name));
    files.emplace_back(dir.get(), store.path_of(plan.snapshot), database.entry, key, cancel);
  }
  return files;
}

void add_targets(RestorePlan& plan, const std::vector<Target>& targets) {
  for (std::size_t i = 0; i < plan.databases.size(); ++i) plan.databases[i].target = targets[i];
}

// Precondition: mark_origins has marked `snapshot` with the server that was reached.
void add_source(RestorePlan& plan, const Snapshot& snapshot, const Manifest::Server& here, bool allowed) {
  plan.from_other_server = allowed;
  if (snapshot.origin == Origin::kHere) return;
  plan.source = snapshot.manifest->server;
  plan.sources = side_by_side(*plan.source, here);
}

bool is_on_server(const RestorePlan::Database& database) {
  return database.target.state == TargetState::kThere;
}

const Manifest::Database* entry_of(const Manifest& manifest, const std::string& name) {
  const auto& all = manifest.databases;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// The safety snapshot must hold everything that will be replaced, whether damaged or not.
void require_saved(const RestorePlan& plan, const BackupResult& backup) {
  for (const RestorePlan::Database& database : plan.databases) {
    if (!is_on_server(database)) continue;
    const Manifest::Database* saved = entry_of(backup.manifest, database.entry.name);
    if (saved != nullptr && !saved->error) continue;
    throw Error(ErrorKind::kRefused,
                "the safety snapshot " + backup.manifest.snapshot + " lacks " +
                    printable(database.entry.name) +
                    (saved == nullptr ? "" : ": " + safe_text(saved->error->message)) +
                    "; nothing was changed on the server",
                "see to that, or give up what is there: --no-safety-snapshot");
  }
}

void warn_of_damage(const RestorePlan& plan, const BackupResult& backup, spdlog::logger& log) {
  bool good = true, damaged = false;
  for (const RestorePlan::Database& database : plan.databases) {
    if (!is_on_server(database)) continue;
    const Manifest::Database& saved = *entry_of(backup.manifest, database.entry.name);
    good = good && saved.verified == Verified::kOk;
    damaged = damaged || (saved.verified == Verified::kFailed && !only_not_checked(saved.problems));
  }
  if (!good)
    log.warn("the safety snapshot {} holds what is on the server, which {}", backup.path,
             damaged ? "does not pass its check" : "could not be checked");
}

std::vector<std::string> names_of(const RestorePlan& plan) {
  std::vector<std::string> names;
  for (const RestorePlan::Database& database : plan.databases) names.push_back(database.entry.name);
  return names;
}

bool is_about(const SafetySnapshot& safety, const RestorePlan& plan) {
  const std::vector<std::string>& theirs = safety.manifest.before_restore->databases;
  return std::any_of(plan.databases.begin(), plan.databases.end(), [&](const auto& database) {
    return std::find(theirs.begin(), theirs.end(), database.entry.name) != theirs.end();
  });
}

// Safety snapshots of the same databases whose restores may be half done.
std::vector<SafetySnapshot> open_ones(const Store& store, const Listing& listing, const RestorePlan& plan) {
  std::vector<SafetySnapshot> open = unfinished_safety(store, listing);
  std::erase_if(open,
                [&](const SafetySnapshot& safety) { return !safety.open() || !is_about(safety, plan); });
  return open;
}

// Safety snapshots of earlier tries of this restore.
std::vector<SafetySnapshot> earlier_tries(const Store& store, const Listing& listing,
                                          const RestorePlan& plan) {
  std::vector<SafetySnapshot> tries = unfinished_safety(store, listing);
  std::erase_if(tries, [&](const SafetySnapshot& safety) {
    return safety.manifest.before_restore->snapshot != plan.snapshot || !is_about(safety, plan);
  });
  return tries;
}

std::vector<Manifest::Database> entries_there(const RestorePlan& plan) {
  std::vector<Manifest::Database> entries;
  for (const RestorePlan::Database& database : plan.databases)
    if (is_on_server(database)) entries.push_back(database.entry);
  return entries;
}

BackupOptions safety_options(const ServerRestoreOptions& options, const RestorePlan& plan) {
  BackupOptions backup;
  backup.agent_path = options.agent_path;
  backup.label = kSafetyLabel;
  backup.pinned = true;
  backup.prune = false;
  backup.when_foreign = WhenForeign::kGoOn;
  backup.before_restore = {plan.snapshot, names_of(plan), std::string(kSafetyPrepared)};
  return backup;
}

struct RestoreRun : AppRun {
  const ServerRestoreOptions& options;
};

BackupResult pull_what_is_on_server(const RestoreRun& run, const RestorePlan& plan,
                                    const BackupOptions& options) {
  std::optional<BackupResult> pulled;
  const auto error = error_of([&] {
    const Config config = config_for_safety(run.config, plan);
    pulled = run_backup({run.store, run.lock, config, run.cancel, run.progress, run.log}, options);
  });
  if (error)
    throw Error(error->kind(),
                "no safety snapshot could be made, so nothing was changed on the server: " + error->message(),
                error->hint().empty() ? "to go on without one: --no-safety-snapshot"
                                      : error->hint() + "; or go on without one: --no-safety-snapshot");
  require_saved(plan, *pulled);
  return std::move(*pulled);
}

// Saves what is on the server, unless a safety snapshot of an earlier try holds it.
void save_what_is_on_server(const RestoreRun& run, ServerRestore& restore) {
  std::vector<SafetySnapshot> tries =
      earlier_tries(run.store, list_snapshots(run.store, run.config), restore.plan);
  std::copy_if(tries.begin(), tries.end(), std::back_inserter(restore.safety),
               [](const SafetySnapshot& safety) { return safety.open(); });
  const std::vector<Manifest::Database> there = entries_there(restore.plan);
  if (!run.options.safety_snapshot || there.empty()) return;

  std::optional<SafetySnapshot> holds_it;
  BackupOptions backup = safety_options(run.options, restore.plan);
  backup.is_wanted = [&](const Manifest&, int dir_fd, const std::string& shown) {
    const ServerState state{run.store, dir_fd, shown, there, restore.plan.snapshot};
    const auto found = std::find_if(tries.rbegin(), tries.rend(), [&](const SafetySnapshot& safety) {
      return is_known(state, safety, run.cancel);
    });
    if (found != tries.rend()) holds_it = *found;
    return !holds_it;
  };
  BackupResult pulled = pull_what_is_on_server(run, restore.plan, backup);
  restore.seen = pulled.manifest;
  if (!holds_it) {
    warn_of_damage(restore.plan, pulled, run.log);
    holds_it = SafetySnapshot{pulled.manifest.snapshot, pulled.path, std::move(pulled.manifest)};
  }
  if (!holds_it->open()) restore.safety.push_back(std::move(*holds_it));
}

// This is exact, since the agent hashed what it replaced while it held the lock.
std::vector<std::string> written_between(const ServerRestore& restore) {
  std::vector<std::string> names;
  if (!restore.seen) return names;
  for (const Restored& restored : restore.talk.restored) {
    const std::string& name = restore.plan.databases[restored.database].entry.name;
    const Manifest::Database* saved = entry_of(*restore.seen, name);
    if (restored.created == 0 && (saved == nullptr || saved->keyed_digest != to_hex(restored.replaced)))
      names.push_back(name);
  }
  return names;
}

// When the first database fails, nothing has changed, and that is an error like any other.
RestoreState state_of(const ServerRestore& restore) {
  if (restore.talk.lost) return RestoreState::kUnknown;
  if (!restore.talk.failed) return RestoreState::kRestored;
  if (!restore.talk.restored.empty()) return RestoreState::kPartly;
  const Problem& problem = restore.talk.failed->problem;
  throw Error(ErrorKind::kFailed,
              printable(restore.plan.databases.front().entry.name) + ": " + safe_text(problem.message) +
                  "; nothing was changed on the server",
              safe_text(problem.hint));
}

// Returns the snapshot that `word` means, and warns of newer ones that were passed over.
const Snapshot& select(const Listing& listing, const std::string& word, spdlog::logger& log) {
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const Snapshot& snapshot = select_snapshot(listing, word, now_unix_s);
  for (const std::string& newer : passed_over(listing, snapshot, word, now_unix_s)) log.warn("{}", newer);
  return snapshot;
}

// Marks the newest safety snapshot as open, on disk. Returns its earlier state; empty when there is none.
std::string mark_open(const RestoreRun& run, ServerRestore& restore) {
  if (restore.safety.empty()) return "";
  SafetySnapshot& newest = restore.safety.back();
  std::string before = newest.manifest.before_restore->state;
  set_state(run.store, run.lock, newest, names_of(restore.plan), kSafetyOpen);
  return before;
}

// A state that cannot be recorded is a warning. The restore itself has not failed.
void mark_ended(const RestoreRun& run, ServerRestore& restore, bool unchanged, const std::string& before) {
  const auto unrecorded = error_of([&] {
    if (restore.state == RestoreState::kRestored)
      finish_safety(run.store, run.lock, list_snapshots(run.store, run.config), names_of(restore.plan));
    else if (unchanged && !restore.safety.empty())
      set_state(run.store, run.lock, restore.safety.back(), {}, before);
  });
  if (unrecorded)
    run.log.warn("how far the restore came is not recorded in the safety snapshot: {}",
                 describe(*unrecorded));
}

void replace_databases(const RestoreRun& run, const std::vector<RestoreFile>& files, ServerRestore& restore) {
  const std::string before = mark_open(run, restore);
  const auto unchanged = error_of([&] {
    const TalkContext context{run.config, run.options.agent_path, run.cancel, run.progress};
    restore.talk = talk_restore(context, RestoreMode::kRestore, files, [&](const RestoreTalk& talk) {
      require_same_places(restore.plan, talk.targets);
    });
    restore.state = state_of(restore);
  });
  mark_ended(run, restore, unchanged != nullptr, before);
  if (unchanged) throw Error(*unchanged);
}

}  // namespace

ServerRestore restore_to_server(const Config& config, const ServerRestoreOptions& options,
                                const std::function<void(const RestorePlan&)>& confirm, const Cancel& cancel,
                                Progress& progress, spdlog::logger& log) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  Listing listing = list_snapshots(store, config);
  const Snapshot& snapshot = select(listing, options.snapshot, log);
  ServerRestore restore;
  restore.plan = plan_of(config, snapshot, choose_databases(snapshot, options.databases));
  restore.plan.open = open_ones(store, listing, restore.plan);
  const DigestKey key = store.digest_key_if_there().value_or(new_digest_key());
  std::vector<RestoreFile> files = open_files(store, restore.plan, key, cancel, progress);

  const TalkContext context{config, options.agent_path, cancel, progress};
  const RestoreTalk seen = talk_restore(context, RestoreMode::kLook, files);
  add_targets(restore.plan, seen.targets);
  const Manifest::Server here = source_of(config, seen.host_key);
  mark_origins(listing, here);
  add_source(restore.plan, snapshot, here, options.from_other_server);
  if (options.dry_run) {
    require_possible(restore.plan);
    const RestoreTalk compared = talk_restore(context, RestoreMode::kCompare, files);
    for (const Ready& ready : compared.ready)
      restore.plan.databases[ready.database].differing = ready.differing;
    return restore;
  }
  confirm(restore.plan);
  require_possible(restore.plan);

  const AppLock lock = store.lock();
  // The files and the safety snapshot must have the same key, which may be another one by now.
  if (const DigestKey own = store.digest_key(lock); own != key)
    files = open_files(store, restore.plan, own, cancel, progress);
  const RestoreRun run{{store, lock, config, cancel, progress, log}, options};
  save_what_is_on_server(run, restore);
  replace_databases(run, files, restore);
  restore.written_between = written_between(restore);
  return restore;
}

int exit_code(const ServerRestore& restore) {
  return restore.state == RestoreState::kPartly || restore.state == RestoreState::kUnknown ? kExitIncomplete
                                                                                           : 0;
}

}  // namespace litepull
