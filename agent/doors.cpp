#include "agent/doors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "agent/beneath.h"
#include "agent/door_mounts.h"
#include "agent/storage_name.h"
#include "common/posix.h"

namespace litepull {
namespace {

// SQLite's VFS "unix-dotfile" locks with a directory of that name and not with the file's locks
// (https://sqlite.org/vfs.html#standard_unix_vfses). A file of that name may belong to another program.
std::optional<Problem> problem_of_lock_directory(const Candidate& candidate) {
  struct stat status {};
  if (lstat((candidate.path + ".lock").c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
    return std::nullopt;
  return Problem{
      ErrorKind::kRefused,
      "its app and litepull do not see each other's locks: there is a directory " +
          printable(candidate.name) + ".lock, which SQLite makes with vfs=unix-dotfile",
      "open it in the app without vfs=unix-dotfile; where no app has it open, remove that directory"};
}

Fd open_directory_of(const std::string& name) {
  return Fd(open(directory_of(name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// A file in a layer of an overlay has other locks than the file that the overlay shows.
std::optional<Problem> problem_of_merged(const Candidate& candidate, const Location& directory,
                                         const Surroundings& surroundings) {
  const std::string at = "the overlay that is mounted at " + printable(directory.mount.point);
  for (const LayerFile& file :
       layer_files(base_of(candidate.name), directory, surroundings.mounts.overlays)) {
    if (file.missing && file.layer->kind == Layer::Kind::kUpper)
      return Problem{ErrorKind::kRefused,
                     "it is only in a lower directory of " + at + ": opening it would copy it",
                     "set REMOTE_BACKUP_DIR to the directory below the overlay that the app opens"};
    if (!file.id) continue;
    for (const Process* process : surroundings.processes.holders_of(*file.id))
      return Problem{ErrorKind::kRefused,
                     shown_process(*process) + " has it open below " + at + ", where it has other locks",
                     "set REMOTE_BACKUP_DIR to the directory that the process opens, " +
                         printable(file.path) + ", and have nothing open it through the overlay"};
  }
  return std::nullopt;
}

// Adds the files by which a process that uses the database is found: the database, its sidecars, and the
// files below an overlay.
void add_files_of(const Candidate& candidate, const Mounts& mounts, std::set<FileId>& files) {
  const OurDoor door = door_of(candidate);
  files.insert(door.database);
  if (door.wal) files.insert(*door.wal);
  if (door.shared_memory) files.insert(*door.shared_memory);
  if (mounts.overlays.empty()) return;
  const Fd fd = open_directory_of(candidate.name);
  const auto directory = fd ? locate(fd.get(), mounts.own) : std::nullopt;
  if (!directory) return;
  for (const LayerFile& file : layer_files(base_of(candidate.name), *directory, mounts.overlays))
    if (file.id) files.insert(*file.id);
}

// True when /proc hides other users' processes from us. It never hides them from root (proc(5)).
bool hides_processes(const std::vector<Mount>& own) {
  return geteuid() != 0 && std::any_of(own.begin(), own.end(), [](const Mount& mount) {
           return mount.type == "proc" && mount.options.find("hidepid=") != std::string::npos;
         });
}

std::map<FileId, std::uint32_t> shared_memories(const Processes& processes) {
  std::map<FileId, std::uint32_t> all;
  for (const Process& process : processes.all)
    for (const OpenFile& file : process.files)
      if (without_deleted(file.name).ends_with("-shm")) all.emplace(file.id, process.pid);
  return all;
}

}  // namespace

Surroundings Surroundings::look(const std::vector<Candidate>& databases) {
  Surroundings found;
  found.mounts = look_at_mounts({});
  WantedFiles wanted;
  for (const Candidate& candidate : databases) add_files_of(candidate, found.mounts, wanted.files);
  found.processes = look_at_processes(wanted);
  for (const Process& process : found.processes.all) found.files.emplace_back(process);
  if (hides_processes(found.mounts.own)) found.processes.all_seen = false;
  if (!found.processes.namespaces.empty()) found.mounts = look_at_mounts(found.processes.namespaces);
  return found;
}

std::optional<Problem> other_door_of(const Candidate& candidate, const Surroundings& surroundings) {
  const Fd fd = open_directory_of(candidate.name);
  const auto directory = fd ? locate(fd.get(), surroundings.mounts.own) : std::nullopt;
  if (auto problem = problem_of_directory(directory, surroundings.mounts)) return problem;
  if (directory) {
    const std::string base = base_of(candidate.name);
    if (auto problem = problem_of_mount_point(fd.get(), base, *directory, surroundings.mounts.own))
      return problem;
    if (auto problem = problem_of_file_mount(*directory, base, surroundings.mounts.all)) return problem;
    if (auto problem = problem_of_merged(candidate, *directory, surroundings)) return problem;
  }
  if (auto problem = problem_of_lock_directory(candidate)) return problem;
  return problem_of_processes(candidate, surroundings.processes, surroundings.files);
}

std::optional<Problem> other_door_of_missing(const std::string& name, const Surroundings& surroundings) {
  const Fd fd = open_directory_of(name);
  const auto directory = fd ? locate(fd.get(), surroundings.mounts.own) : std::nullopt;
  if (auto problem = problem_of_directory(directory, surroundings.mounts)) return problem;
  return directory ? problem_of_file_mount(*directory, base_of(name), surroundings.mounts.all) : std::nullopt;
}

void refuse_other_doors(std::vector<Candidate>& candidates, const Surroundings& surroundings) {
  keep_shared_memory(shared_memories(surroundings.processes));
  for (Candidate& candidate : candidates)
    if (!candidate.problem) candidate.problem = other_door_of(candidate, surroundings);
}

}  // namespace litepull
