#include "client/restore/local.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "client/base/directory.h"
#include "client/restore/in_use.h"
#include "client/restore/placement.h"
#include "client/restore/staged_directory.h"

namespace litepull {
namespace fs = std::filesystem;
namespace {

// Without `..`, which would lead out of the staged directory.
std::string absolute_path(const std::string& path) {
  if (path.empty())
    throw Error(ErrorKind::kConfiguration, "no directory was named", "give one with --to DIR");
  std::string absolute = fs::weakly_canonical(fs::absolute(path)).string();
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

bool exists(const std::string& path) {
  return look_at_entry(AT_FDCWD, path, path).has_value();
}

// Nothing may be restored among the snapshots, which never change. `path` or its parent must exist.
void require_outside(const std::string& path, const std::string& store_path) {
  const std::string real = fs::weakly_canonical(path).string() + "/";
  if (real.starts_with(fs::weakly_canonical(store_path).string() + "/"))
    throw Error(ErrorKind::kConfiguration, path + " is where the snapshots are kept",
                "take a directory outside of " + store_path);
}

// What both ways to restore work with. All is borrowed.
struct LocalRun {
  const RestoreSource& source;
  const std::string& store_path;
  const Cancel& cancel;
  Progress& progress;
  spdlog::logger& log;
};

// --- a new directory -------------------------------------------------------------------------------------

// The first part of a path that does not exist, and what is below it. That part is staged with everything
// below it, so that missing parents appear in the same step.
struct Missing {
  std::string parent;
  std::string name;
  std::string below;  // may be empty
};

Missing first_missing(const std::string& path) {
  Missing missing{parent_of(path), fs::path(path).filename().string(), ""};
  while (!exists(missing.parent)) {
    missing.below = missing.name + (missing.below.empty() ? "" : "/" + missing.below);
    missing.name = fs::path(missing.parent).filename().string();
    missing.parent = parent_of(missing.parent);
  }
  return missing;
}

LocalRestore restore_new(const LocalRun& run, const std::string& directory) {
  const Missing missing = first_missing(directory);
  require_outside(missing.parent + "/" + missing.name, run.store_path);
  StagedDirectory staged(missing.parent, missing.name);
  const std::string below = missing.below.empty() ? "" : "/" + missing.below;
  const Place inner =
      find_place(staged.fd(), missing.below.empty() ? "." : missing.below + "/.", true, staged.path());
  LocalRestore result{
      directory, run.source.copy_to(inner.dir.get(), staged.path() + below, run.cancel, run.progress), {}};
  run.cancel.throw_if_requested();
  staged.move_to(missing.name);
  return result;
}

// --- a directory that is there ---------------------------------------------------------------------------

std::vector<std::string> files_in_the_way(const Directory& directory, const RestoreSource& source) {
  std::vector<std::string> all;
  for (const std::string& database : source.names())
    for (std::string& name : group_in(directory, database)) all.push_back(std::move(name));
  return all;
}

void refuse_to_overwrite(const Directory& directory, const std::vector<std::string>& files) {
  std::string names;
  for (const std::string& file : files) names += (names.empty() ? "" : ", ") + printable(file);
  throw Error(
      ErrorKind::kRefused, directory.path + " has " + names + " already; nothing was changed",
      "restore to a directory that is not there yet, or stop the app and add --force to replace them");
}

void require_unused(const Directory& directory, const RestoreSource& source) {
  for (const std::string& database : source.names()) {
    const std::string shown = directory.path + "/" + database;
    if (group_in(directory, database).empty()) continue;
    const Place place = find_place(directory.fd, database, false, directory.path);
    if (const std::string who = who_uses(place.dir.get(), place.leaf, shown); !who.empty())
      throw Error(ErrorKind::kRefused, shown + " is in use by " + who + "; nothing was changed",
                  "stop the app, then run this again");
  }
}

void require_free(const Directory& directory, const RestoreSource& source, bool force) {
  const std::vector<std::string> files = files_in_the_way(directory, source);
  if (!files.empty() && !force) refuse_to_overwrite(directory, files);
  require_unused(directory, source);
}

std::vector<std::string> databases_there(const Directory& directory, const RestoreSource& source) {
  std::vector<std::string> there;
  for (const std::string& database : source.names())
    if (!group_in(directory, database).empty()) there.push_back(database);
  return there;
}

LocalRestore restore_into(const LocalRun& run, const std::string& path, bool force) {
  require_outside(path, run.store_path);
  const Fd dir = open_path(path, O_RDONLY | O_DIRECTORY);
  const Directory directory{dir.get(), path};
  if (!try_lock(dir.get(), path))
    throw Error(ErrorKind::kBusy, "another restore works in " + path, "wait until it has ended");
  for (const std::string& note : settle_interrupted(directory)) run.log.warn("{}", note);
  require_free(directory, run.source, force);

  Placement placement(directory);
  const Directory fresh = placement.fresh();
  LocalRestore result{path, run.source.copy_to(fresh.fd, fresh.path, run.cancel, run.progress), {}};
  run.cancel.throw_if_requested();
  require_free(directory, run.source, force);
  result.replaced = databases_there(directory, run.source);
  placement.put_in_place(run.source.names(), !result.replaced.empty());
  return result;
}

}  // namespace

LocalRestore restore_to_directory(const RestoreSource& source, const LocalTarget& target,
                                  const std::string& store_path, const Cancel& cancel, Progress& progress,
                                  spdlog::logger& log) {
  const std::string path = absolute_path(target.directory);
  const LocalRun run{source, store_path, cancel, progress, log};
  return exists(path) ? restore_into(run, path, target.force) : restore_new(run, path);
}

}  // namespace litepull
