#include "client/preflight/local_steps.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "client/base/clock.h"
#include "client/base/progress.h"
#include "client/config/origin.h"
#include "client/nightly/schedule.h"
#include "client/store/git_ignore.h"
#include "client/store/store.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

// The nearest directory at or above `path` that exists.
std::string existing_above(std::string path) {
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0)
    path.erase(std::max<std::size_t>(path.find_last_of('/'), 1));
  return path;
}

void require_writable(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
      ::access(directory.c_str(), W_OK | X_OK) == 0)
    return;
  throw Error(ErrorKind::kFailed, printable(directory) + " is not a directory that litepull can write to",
              "give it to the user that runs litepull, or set LOCAL_BACKUP_ROOT");
}

std::uint64_t available_bytes(const std::string& directory) {
  const std::optional<DiskSpace> disk = disk_space(directory);
  if (!disk) throw_errno("look at the disk of " + printable(directory));
  return disk->free_bytes;
}

}  // namespace

void try_origin(const Config& config, const ServerFindings& server, Steps& steps) {
  if (!server.reachable) return;
  steps.attempt("origin", [&] {
    const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
    Listing listing = list_snapshots(store, config);
    const Arrival arrival =
        arrive(config, server.host_key, WhenForeign::kStop, unix_ms_now() / 1000, listing);
    const auto foreign = std::count_if(listing.snapshots.begin(), listing.snapshots.end(),
                                       [](const Snapshot& snapshot) { return snapshot.foreign(); });
    if (!arrival.note.empty()) steps.warn("origin", arrival.note);
    if (foreign > 0)
      steps.warn("origin",
                 fmt::format("{} of the snapshots are foreign, not from {}", foreign,
                             side_by_side(arrival.source, arrival.source).ours),
                 "litepull list " + printable(config.file) + " says where each came from");
  });
}

void try_local_disk(const Config& config, const ServerFindings& server, Steps& steps) {
  steps.attempt("local disk", [&] {
    const std::string& root = config.local_backup_root;
    const std::string there = existing_above(root);
    require_writable(there);
    const std::uint64_t available = available_bytes(there);
    const std::string text = printable(root) + ": " + format_bytes(available) + " free";
    if (!server.look) return steps.ok("local disk", text);
    const std::string need = ", the next snapshot may need " + format_bytes(server.needed_bytes);
    if (available < server.needed_bytes)
      throw Error(ErrorKind::kFailed, text + need,
                  "free some space, or keep fewer snapshots: RETENTION_DAYS");
    steps.ok("local disk", text + need);
  });
}

void try_lock(const Config& config, Steps& steps) {
  steps.attempt("lock", [&] {
    const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
    const std::optional<std::string> holder = store.lock_holder();
    if (holder)
      steps.warn("lock", "another run is at work, process " + printable(*holder));
    else
      steps.ok("lock", "no other run is at work");
  });
}

void try_git(const Config& config, const Cancel& cancel, Steps& steps) {
  const std::string snapshots = config.local_backup_root + "/" + config.app_name;
  for (const std::string& path : {config.file, snapshots})
    if (const auto tracked = tracked_by_git(path, cancel))
      steps.warn("git", printable(*tracked) + " is tracked by git, so it goes wherever the repository goes",
                 "git -C " + shell_path(work_tree_of(path)) + " rm -r --cached -- " + shell_path(path) +
                     ", and keep it out with a .gitignore");
}

void try_schedule(const Config& config, const Environment& environment, Steps& steps) {
  steps.attempt("schedule", [&] {
    const std::optional<ScheduleState> schedule = installed_schedule(config.app_name, environment);
    const std::string hint = "litepull schedule " + shell_path(config.file) + " --at 04:00";
    if (!schedule)
      return steps.warn("schedule", "litepull has installed none; crontabs are not checked", hint);
    if (!schedule->enabled)
      return steps.warn("schedule", printable(schedule->file) + " is there, but not enabled", hint);
    steps.ok("schedule", scheduler_text(schedule->scheduler) +
                             (schedule->at ? ", every day at " + time_text(*schedule->at) : ""));
  });
}

}  // namespace litepull
