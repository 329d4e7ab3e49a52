#include "agent/door_processes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <utility>

#include "agent/door_mounts.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// The journal is not among them: it comes and goes with each transaction, and a program that has our file has
// our locks.
constexpr const char* kSidecars[] = {"-wal", "-shm"};
constexpr const char* kDeleted = " (deleted)";

// The name of the database whose sidecar the file is by its name. Nothing when it is no sidecar.
std::optional<std::string> database_of(const OpenFile& file) {
  const std::string name = without_deleted(file.name);
  for (const std::string ending : kSidecars)
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return std::nullopt;
}

// True for file servers. The kernel here does not see the locks of their clients.
bool is_server(const Process& process) {
  constexpr const char* kServers[] = {"virtiofsd", "qemu-system", "smbd", "ganesha.nfsd", "glusterfsd"};
  return process.serves || std::any_of(std::begin(kServers), std::end(kServers), [&](const char* command) {
           return process.command.starts_with(command);
         });
}

// The files of one database that one process has open.
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
      return Problem{ErrorKind::kRefused,
                     shown_process(process_) +
                         " has it open to pass it on, and the locks of those who use it there are "
                         "not seen here",
                     "run the pull where the app runs, or stop that process, then pull again"};
    for (const OpenFile* file : databases_)
      if (file->directory && file->directory != door_.directory)
        return Problem{ErrorKind::kRefused,
                       shown_process(process_) + " has it open as " + printable(file->name) +
                           ", which is in another directory: its WAL and its journal are there",
                       kUseAVolume};
    for (const OpenFile& file : process_.files)
      if (is_foreign(file))
        return Problem{
            ErrorKind::kRefused,
            shown_process(process_) + " has " + printable(file.name) +
                " open, which is not the file beside the database here: the process commits to that other "
                "file",
            "stop that process in order, so that it brings its WAL back into the database; then pull "
            "again. Nothing may move or remove a database's files while it is open"};
    if (has_wal_without_shared_memory())
      return Problem{
          ErrorKind::kRefused,
          shown_process(process_) +
              " has its WAL open and no shared memory, as with locking_mode=EXCLUSIVE: nobody else can "
              "know what it commits",
          "set PRAGMA locking_mode=NORMAL in the app, or pull while it is stopped"};
    return std::nullopt;
  }

 private:
  // Then the WAL's index is in the process's own memory (https://sqlite.org/wal.html, section 8).
  bool has_wal_without_shared_memory() const {
    return door_.wal && !databases_.empty() && has(*door_.wal) &&
           !(door_.shared_memory && has(*door_.shared_memory));
  }

  bool has(const FileId& id) const {
    return std::any_of(process_.files.begin(), process_.files.end(),
                       [&](const OpenFile& file) { return file.id == id; });
  }

  // True for a sidecar that is this database's by its name but is not the one beside it. Where the process
  // has none of our sidecars, it is also true for a sidecar of a database that the process does not have open
  // under that name: our database had that name when the process opened it.
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

// While a process opens or closes a database, its open files are not all there. So only a problem that lasts
// counts.
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
    if (!again && may_look_at(process.pid)) return std::nullopt;  // the process has closed it, or has ended
    if (!again) return problem;
    process = std::move(*again);
  }
  return problem;
}

}  // namespace

std::string shown_process(const Process& process) {
  return "process " + std::to_string(process.pid) + " (" + printable(process.command) + ")";
}

std::string without_deleted(const std::string& name) {
  return name.ends_with(kDeleted) ? name.substr(0, name.size() - std::char_traits<char>::length(kDeleted))
                                  : name;
}

OurDoor door_of(const Candidate& candidate) {
  OurDoor door{{candidate.device, candidate.inode}, {}, {}, {}};
  door.directory = id_at(candidate.path.substr(0, candidate.path.find_last_of('/')));
  door.wal = id_at(candidate.path + "-wal");
  door.shared_memory = id_at(candidate.path + "-shm");
  return door;
}

std::optional<Problem> problem_of_processes(const Candidate& candidate, const Processes& processes,
                                            const std::vector<FilesOfProcess>& all_files) {
  const OurDoor door = door_of(candidate);
  std::vector<FileId> ids{door.database};
  for (const auto& sidecar : {door.wal, door.shared_memory})
    if (sidecar) ids.push_back(*sidecar);
  for (const Process* process : processes.holders_of(door.database)) {
    const FilesOfProcess& files = all_files[static_cast<std::size_t>(process - processes.all.data())];
    if (auto problem = lasting_problem(candidate, files.of(*process, ids))) return problem;
  }
  return std::nullopt;
}

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

}  // namespace litepull
