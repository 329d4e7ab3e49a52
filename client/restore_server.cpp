#include "client/restore_server.h"

#include <algorithm>

#include "client/clock.h"
#include "client/console.h"
#include "client/file_digest.h"
#include "client/origin.h"
#include "client/select_snapshot.h"
#include "client/store.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kSafetyLabel = "before-restore";

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

// `snapshot` was marked with what the server has shown of itself.
void add_source(RestorePlan& plan, const Snapshot& snapshot, const Manifest::Server& here, bool allowed) {
  plan.from_other_server = allowed;
  if (snapshot.origin == Origin::kHere) return;
  plan.source = snapshot.manifest->server;
  plan.sources = side_by_side(*plan.source, here);
}

bool is_there(const RestorePlan::Database& database) {
  return database.target.state == TargetState::kThere;
}

const Manifest::Database* entry_of(const BackupResult& backup, const std::string& name) {
  const auto& all = backup.manifest.databases;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// All that is about to be replaced must be in it, in whatever state that is.
void require_saved(const RestorePlan& plan, const BackupResult& backup) {
  for (const RestorePlan::Database& database : plan.databases) {
    if (!is_there(database)) continue;
    const Manifest::Database* saved = entry_of(backup, database.entry.name);
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
  if (std::all_of(plan.databases.begin(), plan.databases.end(), [&](const auto& database) {
        return !is_there(database) || entry_of(backup, database.entry.name)->verified == Verified::kOk;
      }))
    return;
  log.warn("the safety snapshot {} holds what is on the server, which does not pass its check", backup.path);
}

std::unique_ptr<BackupResult> save_what_is_there(const Config& config, const ServerRestoreOptions& options,
                                                 const RestorePlan& plan, const Store& store,
                                                 const AppLock& lock, const Cancel& cancel,
                                                 Progress& progress, spdlog::logger& log) {
  if (!options.safety_snapshot || std::none_of(plan.databases.begin(), plan.databases.end(), is_there))
    return nullptr;
  BackupOptions backup;
  backup.agent_path = options.agent_path;
  backup.label = kSafetyLabel;
  backup.pinned = true;
  backup.prune = false;
  backup.when_foreign = WhenForeign::kGoOn;
  std::unique_ptr<BackupResult> safety;
  const auto error = error_of([&] {
    safety = std::make_unique<BackupResult>(
        run_backup(store, lock, config_for_safety(config, plan), backup, cancel, progress, log));
  });
  if (error)
    throw Error(error->kind(),
                "no safety snapshot could be made, so nothing was changed on the server: " + error->message(),
                error->hint().empty() ? "to go on without one: --no-safety-snapshot"
                                      : error->hint() + "; or go on without one: --no-safety-snapshot");
  require_saved(plan, *safety);
  warn_of_damage(plan, *safety, log);
  return safety;
}

// Exact: the agent hashed what it replaced while it held the lock.
std::vector<std::string> written_between(const ServerRestore& restore) {
  std::vector<std::string> names;
  if (!restore.safety) return names;
  for (const Restored& restored : restore.talk.restored) {
    const std::string& name = restore.plan.databases[restored.database].entry.name;
    const Manifest::Database* saved = entry_of(*restore.safety, name);
    if (restored.created == 0 && (saved == nullptr || saved->keyed_digest != to_hex(restored.replaced)))
      names.push_back(name);
  }
  return names;
}

// A first database that failed is an error like any other: nothing has changed.
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

}  // namespace

ServerRestore restore_to_server(const Config& config, const ServerRestoreOptions& options,
                                const std::function<void(const RestorePlan&)>& confirm, const Cancel& cancel,
                                Progress& progress, spdlog::logger& log) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  Listing listing = list_snapshots(store, config);
  const Snapshot& snapshot = select_snapshot(listing, options.snapshot);
  ServerRestore restore;
  restore.plan = plan_of(config, snapshot, choose_databases(snapshot, options.databases));
  const DigestKey key = store.digest_key_if_there().value_or(new_digest_key());
  std::vector<RestoreFile> files = open_files(store, restore.plan, key, cancel, progress);

  const RestoreTalk seen =
      talk_restore(config, options.agent_path, RestoreMode::kLook, files, cancel, progress);
  add_targets(restore.plan, seen.targets);
  const Manifest::Server here = source_of(config, seen.host_key);
  mark_origins(listing, here);
  add_source(restore.plan, snapshot, here, options.from_other_server);
  if (options.dry_run) {
    require_possible(restore.plan);
    const RestoreTalk compared =
        talk_restore(config, options.agent_path, RestoreMode::kCompare, files, cancel, progress);
    for (const Ready& ready : compared.ready)
      restore.plan.databases[ready.database].differing = ready.differing;
    return restore;
  }
  confirm(restore.plan);
  require_possible(restore.plan);

  const AppLock lock = store.lock();
  // What the safety snapshot is made with decides; by now that may be another key.
  if (const DigestKey own = store.digest_key(lock); own != key)
    files = open_files(store, restore.plan, own, cancel, progress);
  restore.safety = save_what_is_there(config, options, restore.plan, store, lock, cancel, progress, log);
  restore.talk =
      talk_restore(config, options.agent_path, RestoreMode::kRestore, files, cancel, progress,
                   [&](const RestoreTalk& talk) { require_same_places(restore.plan, talk.targets); });
  restore.state = state_of(restore);
  restore.written_between = written_between(restore);
  return restore;
}

int exit_code(const ServerRestore& restore) {
  return restore.state == RestoreState::kPartly || restore.state == RestoreState::kUnknown ? 4 : 0;
}

}  // namespace litepull
