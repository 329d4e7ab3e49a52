// Tells what is where databases shall be restored: which file, whose it is and who has it open. Nothing is
// opened here; agent/discover.h says why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/source_database.h"
#include "common/wire/protocol.h"

namespace litepull {

// The place of one item of the request, or of one database that a look found.
struct TargetPlace {
  RestoreItem item;
  std::optional<Candidate> there;  // nothing when there is no such file
  Target target;                   // what is known without opening the database
};

// The places in the working directory, in the order of the request. Looks for other doors with all the rights
// that the agent was started with, so call it before it becomes the databases' owner.
std::vector<TargetPlace> find_places(const RestoreRequest& request);

// The places of all candidates, in the same order, with those that have a problem.
std::vector<TargetPlace> places_of(const std::vector<Candidate>& found, const Surroundings& surroundings);

// Fills in what only the database itself can tell. `source` is or was pinned.
void describe(Target& target, const SourceDatabase& source);

// Like become_owner for a pull. When none of the databases exists, becomes the owner of the other databases
// in the directory, or else the directory's owner. A database that is missing must be made by that owner.
void become_owner(std::vector<TargetPlace>& places);

}  // namespace litepull
