// Where databases are to be restored: what is there, whose it is and who has it open. Nothing is opened here;
// see agent/discover.h for why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/source_database.h"
#include "common/wire/protocol.h"

namespace litepull {

// The place of one item of the request.
struct TargetPlace {
  RestoreItem item;
  std::optional<Candidate> there;  // nothing: there is no such file
  Target target;                   // as far as it is known without opening the database
};

// In the order of the request, of the working directory. Looks around for other doors, with all the rights
// that the agent was started with: to be called before it becomes the databases' owner.
std::vector<TargetPlace> find_places(const RestoreRequest& request);

// What was found, whatever becomes of it. In the same order.
std::vector<TargetPlace> places_of(const std::vector<Candidate>& found, const Surroundings& surroundings);

// Fills in what only the database itself can say. `source` is or was pinned.
void describe(Target& target, const SourceDatabase& source);

// As become_owner does for a pull; when none of the databases is there, the owner of the other databases in
// the directory, else that of the directory. A database that is missing must be made by that owner.
void become_owner(std::vector<TargetPlace>& places);

}  // namespace litepull
