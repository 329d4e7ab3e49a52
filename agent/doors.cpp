#include "agent/doors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "agent/beneath.h"
#include "common/posix.h"

namespace litepull {
namespace {

// Not the journal: it comes and goes with each transaction, and whoever shares the file shares its locks.
constexpr const char* kSidecars[] = {"-wal", "-shm"};
constexpr const char* kDeleted = " (deleted)";
constexpr const char* kUseAVolume =
    "keep the databases in a volume, or in a directory that is mounted as a whole (docker run -v DIR:DIR), "
    "and "
    "set REMOTE_BACKUP_DIR to that directory";

Problem refused(const std::string& message, const std::string& hint) {
  return {ErrorKind::kRefused, message, hint};
}

// --- The file system ---

// Their locks are between the machines that share them, or nobody's; discover.cpp knows the kernel's own by
// their numbers, FUSE's have names alone.
bool is_network(const std::string& type) {
  static const std::set<std::string> kTypes = {"9p",    "afs",       "beegfs",   "ceph",   "cifs",   "coda",
                                               "gfs2",  "glusterfs", "gpfs",     "lustre", "ncpfs",  "nfs",
                                               "nfs4",  "ocfs2",     "orangefs", "pvfs2",  "prl_fs", "smb3",
                                               "smbfs", "vboxsf",    "virtiofs", "vmhgfs"};
  static const std::set<std::string> kFuse = {
      "sshfs",     "glusterfs", "s3fs",     "rclone",    "gcsfuse",   "goofys",      "juicefs",
      "ceph",      "ceph-fuse", "blobfuse", "blobfuse2", "davfs",     "mfs",         "lizardfs",
      "seaweedfs", "weed",      "nfs",      "smbnetfs",  "curlftpfs", "vmhgfs-fuse", "grpcfuse",
      "osxfs",     "mount-s3",  "geesefs",  "cephfs",    "afs",       "gvfsd-fuse"};
  return type.starts_with("fuse.") ? kFuse.contains(type.substr(5)) : kTypes.contains(type);
}

// FUSE file systems that are the only way to what they hold: a disk's (fuseblk, the block device is theirs
// alone), or those that encrypt it. All others pass on a directory that an app may open as well.
bool is_only_door(const std::string& type) {
  static const std::set<std::string> kTypes = {
      "fuseblk",        "fuse.ntfs-3g", "fuse.ext4",  "fuse.fuse2fs", "fuse.zfs",      "fuse.encfs",
      "fuse.gocryptfs", "fuse.cryfs",   "fuse.exfat", "fuse.apfs",    "fuse.securefs", "fuse.lklfuse"};
  return kTypes.contains(type);
}

std::optional<Problem> problem_of_type(const Mount& mount) {
  const std::string where = mount.type + " (mounted at " + printable(mount.point) + ")";
  if (is_network(mount.type))
    return refused("it is on " + where + ", where SQLite's locks cannot be trusted",
                   "run the pull against the machine whose disk it is, or name it in EXCLUDE");
  if (!mount.type.starts_with("fuse") || mount.type == "fusectl" || is_only_door(mount.type))
    return std::nullopt;
  return refused(
      "it is on " + where +
          ", which passes on files of another directory: an app that opens them there has other locks",
      "set REMOTE_BACKUP_DIR to the directory below that mount, and have the app open its databases "
      "there, too");
}

// --- Overlays ---

const char* words_for(Layer::Kind kind) {
  switch (kind) {
    case Layer::Kind::kUpper:
      return "upper";
    case Layer::Kind::kLower:
      return "lower";
    default:
      return "work";
  }
}

// One that could not be found is held against the names that lead to our directory.
bool holds(const Layer& layer, const Location& directory) {
  if (layer.location) return directory.is_within(*layer.location);
  if (layer.named.empty()) return false;
  if (layer.named.starts_with('/')) return is_path_within(directory.shown, layer.named);
  return (directory.shown + "/").find("/" + layer.named + "/") != std::string::npos;
}

std::string in_overlay(const Overlay& overlay, const Layer& layer, const Location& directory) {
  if (overlay.mount.pid != 0 || !layer.location) return kUseAVolume;
  const std::string below =
      directory.path.substr(std::min(directory.path.size(), layer.location->path.size()));
  return "set REMOTE_BACKUP_DIR to " + printable(join_paths(overlay.mount.point, below)) + ", or " +
         kUseAVolume;
}

// Nothing changes through one that has no upper directory: its lower ones are the only door for writers.
std::optional<Problem> problem_of_layers(const Location& directory, const std::vector<Overlay>& overlays) {
  for (const Overlay& overlay : overlays) {
    if (!overlay.writable) continue;
    for (const Layer& layer : overlay.layers)
      if (holds(layer, directory))
        return refused("it is below the " + std::string(words_for(layer.kind)) +
                           " directory of an overlay that is mounted at " + printable(overlay.mount.point) +
                           ": an app that opens it there has other locks, or another file",
                       in_overlay(overlay, layer, directory));
  }
  return std::nullopt;
}

// --- Mounts of the file itself ---

// A file that lost its name is followed by this in mountinfo.
bool is_of_file(const Mount& mount, const std::string& device, const std::string& path) {
  return mount.device == device && mount.root.starts_with(path) &&
         (mount.root.size() == path.size() || mount.root.substr(path.size()) == "//deleted");
}

std::optional<Problem> problem_of_file_mount(const Location& directory, const std::string& base,
                                             const std::vector<Mount>& all) {
  const std::string path = join_paths(directory.path, base);
  for (const Mount& mount : all) {
    if (!is_of_file(mount, directory.device, path)) continue;
    const std::string whose = mount.pid == 0 ? "" : " for process " + std::to_string(mount.pid);
    return refused("it is mounted as a single file at " + printable(mount.point) + whose +
                       ": an app that opens it there keeps its WAL and its journal beside that name",
                   kUseAVolume);
  }
  return std::nullopt;
}

// --- Processes ---

std::string name_of(const Process& process) {
  return "process " + std::to_string(process.pid) + " (" + printable(process.command) + ")";
}

std::string without_deleted(const std::string& name) {
  return name.ends_with(kDeleted) ? name.substr(0, name.size() - std::char_traits<char>::length(kDeleted))
                                  : name;
}

// The database that the file is a sidecar of, by their names; nothing when it is none.
std::optional<std::string> database_of(const OpenFile& file) {
  const std::string name = without_deleted(file.name);
  for (const std::string ending : kSidecars)
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return std::nullopt;
}

// The file servers whose clients' locks the kernel here does not see.
bool is_server(const Process& process) {
  constexpr const char* kServers[] = {"virtiofsd", "qemu-system", "smbd", "ganesha.nfsd", "glusterfsd"};
  return process.serves || std::any_of(std::begin(kServers), std::end(kServers), [&](const char* command) {
           return process.command.starts_with(command);
         });
}

// One database, and its sidecars beside the name by which we open it.
struct OurDoor {
  FileId database;
  std::optional<FileId> directory, wal, shared_memory;
};

OurDoor door_of(const Candidate& candidate) {
  OurDoor door{{candidate.device, candidate.inode}, {}, {}, {}};
  door.directory = id_at(candidate.path.substr(0, candidate.path.find_last_of('/')));
  door.wal = id_at(candidate.path + "-wal");
  door.shared_memory = id_at(candidate.path + "-shm");
  return door;
}

// What one process has of one database.
class Held {
 public:
  Held(const Process& process, const OurDoor& door) : process_(process), door_(door) {
    for (const OpenFile& file : process.files) {
      names_.insert(without_deleted(file.name));
      if (file.id == door.database) databases_.push_back(&file);
      if (file.id == door.wal || file.id == door.shared_memory) shares_sidecars_ = true;
    }
  }

  std::optional<Problem> problem() const {
    if (databases_.empty()) return std::nullopt;
    if (is_server(process_))
      return refused(name_of(process_) +
                         " has it open to pass it on, and the locks of those who use it there are "
                         "not seen here",
                     "run the pull where the app runs, or stop that process, then pull again");
    for (const OpenFile* file : databases_)
      if (file->directory && file->directory != door_.directory)
        return refused(name_of(process_) + " has it open as " + printable(file->name) +
                           ", which is in another directory: its WAL and its journal are there",
                       kUseAVolume);
    for (const OpenFile& file : process_.files)
      if (is_foreign(file))
        return refused(
            name_of(process_) + " has " + printable(file.name) +
                " open, which is not the one beside it here: what the process commits is there",
            "stop that process in order, so that it brings its WAL back into the database; then pull "
            "again. Nothing may move or remove a database's files while it is open");
    if (has_wal_without_shared_memory())
      return refused(
          name_of(process_) +
              " has its WAL open and no shared memory, as with locking_mode=EXCLUSIVE: nobody else can "
              "know what it commits",
          "set PRAGMA locking_mode=NORMAL in the app, or pull while it is stopped");
    return std::nullopt;
  }

 private:
  // Its index is in the process's own memory then (https://sqlite.org/wal.html, section 8).
  bool has_wal_without_shared_memory() const {
    return door_.wal && !databases_.empty() && has(*door_.wal) &&
           !(door_.shared_memory && has(*door_.shared_memory));
  }

  bool has(const FileId& id) const {
    return std::any_of(process_.files.begin(), process_.files.end(),
                       [&](const OpenFile& file) { return file.id == id; });
  }

  // A sidecar of this database by its name, or, where it has none of ours, one of a database that it has not
  // open under that name: ours was called so when it was opened.
  bool is_foreign(const OpenFile& file) const {
    const auto database = database_of(file);
    if (!database || file.id == door_.wal || file.id == door_.shared_memory) return false;
    const bool by_name = std::any_of(databases_.begin(), databases_.end(), [&](const OpenFile* ours) {
      return without_deleted(ours->name) == *database;
    });
    return by_name || (!shares_sidecars_ && !names_.contains(*database));
  }

  const Process& process_;
  const OurDoor& door_;
  std::vector<const OpenFile*> databases_;
  std::set<std::string> names_;
  bool shares_sidecars_ = false;
};

bool may_look_at(std::uint32_t pid) {
  const Fd fd(open(("/proc/" + std::to_string(pid) + "/fd").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd || errno == ENOENT;
}

// What a process has open changes while it opens or closes a database: only what lasts counts.
std::optional<Problem> lasting_problem(const Candidate& candidate, Process process) {
  constexpr int kLooks = 4;
  constexpr useconds_t kBetweenUs = 5'000;
  std::optional<Problem> problem;
  for (int look = 0; look < kLooks; ++look) {
    const OurDoor door = door_of(candidate);
    problem = Held(process, door).problem();
    if (!problem) return std::nullopt;
    usleep(kBetweenUs);
    auto again = look_at_process(process.pid, {{door.database}, {}});
    if (!again && may_look_at(process.pid)) return std::nullopt;  // it has closed it, or is gone
    if (!again) return problem;
    process = std::move(*again);
  }
  return problem;
}

std::optional<Problem> problem_of_processes(const Candidate& candidate, const Surroundings& surroundings) {
  const Processes& processes = surroundings.processes;
  const OurDoor door = door_of(candidate);
  std::vector<FileId> ids{door.database};
  for (const auto& sidecar : {door.wal, door.shared_memory})
    if (sidecar) ids.push_back(*sidecar);
  for (const Process* process : processes.holders_of(door.database)) {
    const FilesOfProcess& files =
        surroundings.files[static_cast<std::size_t>(process - processes.all.data())];
    if (auto problem = lasting_problem(candidate, files.of(*process, ids))) return problem;
  }
  return std::nullopt;
}

// What SQLite's VFS "unix-dotfile" locks with in place of the file's locks
// (https://sqlite.org/vfs.html#standard_unix_vfses). A file of that name may be somebody else's.
std::optional<Problem> problem_of_lock_directory(const Candidate& candidate) {
  struct stat status {};
  if (lstat((candidate.path + ".lock").c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
    return std::nullopt;
  return refused(
      "its app's locks and ours do not meet: there is a directory " + printable(candidate.name) +
          ".lock, which SQLite makes with vfs=unix-dotfile",
      "open it in the app without vfs=unix-dotfile; where no app has it open, remove that directory");
}

// --- All of it ---

std::string directory_of(const std::string& name) {
  const std::size_t end = name.find_last_of('/');
  return end == std::string::npos ? "." : "./" + name.substr(0, end);
}

std::string base_of(const std::string& name) {
  return name.substr(name.find_last_of('/') + 1);
}

Fd open_directory(const std::string& name) {
  return Fd(open(directory_of(name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

std::optional<Problem> problem_of_directory(const std::optional<Location>& directory, const Mounts& mounts) {
  if (!directory) return std::nullopt;
  if (auto problem = problem_of_type(directory->mount)) return problem;
  return problem_of_layers(*directory, mounts.overlays);
}

// The name in our directory is one that something was mounted on.
std::optional<Problem> problem_of_mount_point(int directory_fd, const std::string& base,
                                              const Location& directory, const std::vector<Mount>& own) {
  // O_PATH: closing it does not touch the locks that this process has.
  const Fd file(openat(directory_fd, base.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const auto id = file ? mount_id_of(file.get()) : std::nullopt;
  if (!id || *id == directory.mount.id) return std::nullopt;
  const auto mount = std::find_if(own.begin(), own.end(), [&](const Mount& each) { return each.id == *id; });
  const std::string from =
      mount == own.end() ? "elsewhere" : printable(mount->root) + " of device " + mount->device;
  return refused(
      "the file itself is mounted here, from " + from +
          ": an app that opens it there keeps its WAL and its journal there",
      "mount the whole directory in its place, or set REMOTE_BACKUP_DIR to the directory that the app "
      "opens");
}

// The files of the overlay's layers that an overlay's own file is, or was, made of; each with its path from
// here.
struct LayerFile {
  const Layer* layer;
  std::string path;
  std::optional<FileId> id;
  bool missing;  // surely
};

std::vector<LayerFile> layer_files(const Candidate& candidate, const Location& directory,
                                   const std::vector<Overlay>& overlays) {
  std::vector<LayerFile> files;
  for (const Overlay& overlay : overlays) {
    if (overlay.mount.device != directory.device || !overlay.writable) continue;
    for (const Layer& layer : overlay.layers) {
      if (!layer.location || layer.kind == Layer::Kind::kWork) continue;
      LayerFile file{
          &layer, join_paths(join_paths(layer.reached, directory.path), base_of(candidate.name)), {}, false};
      file.id = id_at(file.path);
      file.missing = !file.id && errno == ENOENT;
      files.push_back(std::move(file));
    }
  }
  return files;
}

// They have locks of their own.
std::optional<Problem> problem_of_merged(const Candidate& candidate, const Location& directory,
                                         const Surroundings& surroundings) {
  const std::string at = "the overlay that is mounted at " + printable(directory.mount.point);
  for (const LayerFile& file : layer_files(candidate, directory, surroundings.mounts.overlays)) {
    if (file.missing && file.layer->kind == Layer::Kind::kUpper)
      return refused("it is only in a lower directory of " + at + ": to open it would be to copy it",
                     "set REMOTE_BACKUP_DIR to the directory below the overlay that the app opens");
    if (!file.id) continue;
    for (const Process* process : surroundings.processes.holders_of(*file.id))
      return refused(name_of(*process) + " has it open below " + at + ", where its locks are others",
                     "set REMOTE_BACKUP_DIR to the directory that the process opens, " +
                         printable(file.path) + ", and have nothing open it through the overlay");
  }
  return std::nullopt;
}

// By which a process is known that uses the database: its own, its sidecars, and what is below an overlay.
void add_files_of(const Candidate& candidate, const Mounts& mounts, std::set<FileId>& files) {
  const OurDoor door = door_of(candidate);
  files.insert(door.database);
  if (door.wal) files.insert(*door.wal);
  if (door.shared_memory) files.insert(*door.shared_memory);
  if (mounts.overlays.empty()) return;
  const Fd fd = open_directory(candidate.name);
  const auto directory = fd ? locate(fd.get(), mounts.own) : std::nullopt;
  if (!directory) return;
  for (const LayerFile& file : layer_files(candidate, *directory, mounts.overlays))
    if (file.id) files.insert(*file.id);
}

// From all but root, proc(5).
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

FilesOfProcess::FilesOfProcess(const Process& process) {
  std::set<std::string> names;
  for (Index i = 0; i < process.files.size(); ++i) {
    const OpenFile& file = process.files[i];
    by_id_.emplace(file.id, i);
    names.insert(without_deleted(file.name));
    if (auto database = database_of(file)) sidecars_.emplace(std::move(*database), i);
  }
  for (const auto& [database, i] : sidecars_)
    if (!names.contains(database)) orphans_.push_back(i);
}

Process FilesOfProcess::of(const Process& process, const std::vector<FileId>& ids) const {
  std::set<Index> wanted(orphans_.begin(), orphans_.end());
  for (const FileId& id : ids)
    for (auto [at, end] = by_id_.equal_range(id); at != end; ++at) wanted.insert(at->second);
  for (const Index database : std::set<Index>(wanted)) {
    const auto sidecars = sidecars_.equal_range(without_deleted(process.files[database].name));
    for (auto at = sidecars.first; at != sidecars.second; ++at) wanted.insert(at->second);
  }
  Process some{process.pid, process.command, process.serves, {}};
  for (const Index i : wanted) some.files.push_back(process.files[i]);
  return some;
}

Surroundings Surroundings::look(const std::vector<Candidate>& around) {
  Surroundings found;
  found.mounts = look_at_mounts({});
  WantedFiles wanted;
  for (const Candidate& candidate : around) add_files_of(candidate, found.mounts, wanted.files);
  found.processes = look_at_processes(wanted);
  for (const Process& process : found.processes.all) found.files.emplace_back(process);
  if (hides_processes(found.mounts.own)) found.processes.all_seen = false;
  if (!found.processes.namespaces.empty()) found.mounts = look_at_mounts(found.processes.namespaces);
  return found;
}

std::optional<Problem> other_door_of(const Candidate& candidate, const Surroundings& surroundings) {
  const Fd fd = open_directory(candidate.name);
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
  return problem_of_processes(candidate, surroundings);
}

std::optional<Problem> other_door_of_missing(const std::string& name, const Surroundings& surroundings) {
  const Fd fd = open_directory(name);
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
