#include "client/diff/sides.h"

#include <utility>

#include "client/config/origin.h"
#include "client/pull/manifest_of.h"
#include "client/sandbox/recover.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

DiffSide side_of(const Manifest& manifest, std::string directory) {
  DiffSide side;
  side.name = manifest.snapshot;
  side.label = manifest.label;
  side.pinned_at = manifest.pinned_at;
  side.directory = std::move(directory);
  for (const Manifest::Database& database : manifest.databases) {
    DiffSide::File file{database.bytes, database.keyed_digest, database.journal_mode, ""};
    if (database.error) file.error = database.error->message;
    side.files[database.name] = std::move(file);
  }
  return side;
}

DiffSide side_of_old_script(const Store& store, const Snapshot& snapshot) {
  DiffSide side;
  side.name = snapshot.name;
  side.old_script = true;
  side.directory = store.path_of(snapshot.name);
  const Fd dir = store.open_snapshot(snapshot.name);
  for (const std::string& name : old_script_databases(dir.get(), side.directory)) side.files[name] = {};
  return side;
}

ReadyFile recovered(const Store& store, const DiffSide& side, const std::string& database,
                    const Cancel& cancel) {
  ReadyFile ready;
  const Fd dir = store.open_snapshot(side.name);
  ready.work.emplace(store.create_work_dir());
  ready.bytes =
      recover_database(dir.get(), side.directory, database, {ready.work->fd(), ready.work->path()}, cancel);
  ready.path = ready.work->path() + "/" + database;
  return ready;
}

}  // namespace

DiffSide side_of(const Store& store, const Config& config, const Snapshot& snapshot) {
  DiffSide side = snapshot.old_script() ? side_of_old_script(store, snapshot)
                                        : side_of(*snapshot.manifest, store.path_of(snapshot.name));
  side.origin = origin_text(snapshot, source_of(config));
  return side;
}

LiveCopy::LiveCopy(const Snapshot* base, const PullRun& run) {
  staging_.emplace(run.store.resume_staging(run.lock));
  const bool was_there = !staging_->leftovers().empty();
  const Pulled pulled = pull_set(staging_, base, run);
  if (was_there) staging_->keep();
  require_one(pulled.pull);
  side_ = side_of(manifest_of(run.config, pulled.pull), staging_->path());
}

ReadyFile make_ready(const Store& store, const DiffSide& side, const std::string& database,
                     const Cancel& cancel) {
  if (side.old_script) return recovered(store, side, database, cancel);
  ReadyFile ready;
  ready.path = side.directory + "/" + database;
  ready.bytes = side.files.at(database).bytes;
  if (side.live()) return ready;
  const Fd dir = store.open_snapshot(side.name);
  struct stat info {};
  const Fd file = open_file(dir.get(), database, side.directory);
  if (::fstat(file.get(), &info) != 0) throw_errno("look at " + ready.path);
  if (static_cast<std::uint64_t>(info.st_size) != ready.bytes)
    throw Error(ErrorKind::kCorrupt, "it is damaged: its manifest says " + std::to_string(ready.bytes) +
                                         " bytes, the file has " + std::to_string(info.st_size));
  return ready;
}

}  // namespace litepull
