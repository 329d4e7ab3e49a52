// Which files of a database other processes have open: do they see the database under the name and with the
// sidecars that we see? A part of agent/doors.h.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/file_id.h"
#include "agent/processes.h"
#include "common/error.h"

namespace litepull {

// The open files of one process, indexed by what they say about a database. A process may have the files of
// ten thousand databases open.
class FilesOfProcess {
 public:
  explicit FilesOfProcess(const Process& process);

  // A copy of `process`, which must be the one of the constructor, with only the files that say something
  // about the database whose file and sidecars are `ids`.
  Process of(const Process& process, const std::vector<FileId>& ids) const;

 private:
  using Index = std::size_t;  // in process.files
  std::multimap<FileId, Index> by_id_;
  std::multimap<std::string, Index> sidecars_;  // by the name of their database
  std::vector<Index> orphans_;                  // sidecars whose database is not open under its name
};

// A database, with its directory and the sidecars beside the name by which we open it.
struct OurDoor {
  FileId database;
  std::optional<FileId> directory, wal, shared_memory;
};

OurDoor door_of(const Candidate& candidate);

// Why the database must not be opened as long as those processes have it open. `files` are those of
// `processes.all`, in the same order. Waits some milliseconds for a process that is just opening or closing
// it.
std::optional<Problem> problem_of_processes(const Candidate& candidate, const Processes& processes,
                                            const std::vector<FilesOfProcess>& files);

// "process 123 (puma)".
std::string shown_process(const Process& process);

// The name of an open file as it was before the file was removed.
std::string without_deleted(const std::string& name);

}  // namespace litepull
