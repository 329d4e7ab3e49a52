// Is the path that we open the one that the app opens? A path by which a program reaches a database is called
// a door here. One database can have two: it may be mounted into a container as a single file, lie in a
// directory of an overlay, or be on a file system that passes on the files of another directory. Each door
// has locks or a WAL of its own, and SQLite cannot know that (https://sqlite.org/howtocorrupt.html, sections
// 2 and 3).
//
// This is checked before SQLite opens anything, because opening alone can do harm: a program that believes to
// be a database's first user truncates its shared memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/door_processes.h"
#include "agent/mounts.h"
#include "agent/processes.h"

namespace litepull {

// The mounts and processes around the databases, collected once for all of them.
struct Surroundings {
  Processes processes;
  Mounts mounts;
  std::vector<FilesOfProcess> files;  // of processes.all, in their order

  // Those of `databases`, in one pass over /proc. Call it while the agent has all its rights, because it only
  // sees what it may look at.
  static Surroundings look(const std::vector<Candidate>& databases);
};

// Why the database must not be opened under this name, or nothing. The candidate's own problem is not looked
// at.
std::optional<Problem> other_door_of(const Candidate& candidate, const Surroundings& surroundings);

// The same for a database that is missing and would be made. Only its directory is judged. `name` is as in
// Candidate.
std::optional<Problem> other_door_of_missing(const std::string& name, const Surroundings& surroundings);

// Gives each candidate that must not be opened its problem. From now on SQLite truncates no shared memory
// that a seen process has open.
void refuse_other_doors(std::vector<Candidate>& candidates, const Surroundings& surroundings);

}  // namespace litepull
