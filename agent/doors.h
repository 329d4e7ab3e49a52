// Is the path that we open the one that the app opens? One database can have two doors: a single file that is
// mounted into a container, a directory of an overlay, a file system that passes on what lies below it.
// Behind each door there are other locks, or another WAL; SQLite cannot know
// (https://sqlite.org/howtocorrupt.html, sections 2 and 3). Looked at before SQLite opens anything, since
// opening alone can do harm: who takes itself for a database's first user truncates its shared memory.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/mounts.h"
#include "agent/processes.h"

namespace litepull {

// A process's files by what they say of a database: it may have those of ten thousand open.
class FilesOfProcess {
 public:
  explicit FilesOfProcess(const Process& process);

  // `process`, which this is of, with the files alone that say something of a database whose file or sidecars
  // are `ids`.
  Process of(const Process& process, const std::vector<FileId>& ids) const;

 private:
  using Index = std::size_t;  // in process.files
  std::multimap<FileId, Index> by_id_;
  std::multimap<std::string, Index> sidecars_;  // by the name of their database
  std::vector<Index> orphans_;                  // sidecars whose database is not open under its name
};

// What there is around the databases, collected once for all of them.
struct Surroundings {
  Processes processes;
  Mounts mounts;
  std::vector<FilesOfProcess> files;  // of processes.all, in their order

  // Of the databases `around`. To be called with all the rights that there are: what may not be looked at is
  // not seen. One pass over /proc for all of them.
  static Surroundings look(const std::vector<Candidate>& around);
};

// Why the database must not be opened under this name, or nothing. What its own problem says comes first.
std::optional<Problem> other_door_of(const Candidate& candidate, const Surroundings& surroundings);

// The same for one that is missing, and would be made: of its directory alone. `name` as in Candidate.
std::optional<Problem> other_door_of_missing(const std::string& name, const Surroundings& surroundings);

// Gives each candidate that must not be opened its problem. From now on SQLite truncates no shared memory
// that a process has open which was seen.
void refuse_other_doors(std::vector<Candidate>& candidates, const Surroundings& surroundings);

}  // namespace litepull
