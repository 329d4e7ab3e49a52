#include "agent/target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "agent/owner.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

std::vector<Holder> holders_of(const Candidate& candidate, const Processes& processes) {
  std::vector<Holder> holders;
  for (const Process* process : processes.holders_of({candidate.device, candidate.inode})) {
    if (holders.size() == kMaxHolders) break;
    holders.push_back({process->pid, process->command});
  }
  return holders;
}

void refuse(Target& target, const Problem& problem) {
  target.state = TargetState::kRefused;
  target.problem = problem;
}

// Fills in what can be told without opening the database.
void add_status(TargetPlace& place, const Processes& processes) {
  struct stat status {};
  if (lstat(place.there->path.c_str(), &status) != 0) throw_errno("look at " + printable(place.item.name));
  place.target.uid = status.st_uid;
  place.target.gid = status.st_gid;
  place.target.mode = status.st_mode & 07777;
  place.target.holders = holders_of(*place.there, processes);
  if (place.there->problem) refuse(place.target, *place.there->problem);
}

TargetPlace place_of(const RestoreItem& item, const Candidate* there, const Surroundings& surroundings) {
  TargetPlace place;
  place.item = item;
  place.target.state = there != nullptr ? TargetState::kThere : TargetState::kMissing;
  if (there != nullptr) {
    place.there = *there;
    add_status(place, surroundings.processes);
  } else if (const auto problem = other_door_of_missing(item.name, surroundings)) {
    refuse(place.target, *problem);
  }
  return place;
}

// The databases that decide the owner of a missing one, or the directory when there are none.
std::vector<Candidate> siblings() {
  std::vector<Candidate> found = databases_at_the_top();
  std::erase_if(found, [](const Candidate& candidate) { return candidate.problem.has_value(); });
  if (!found.empty()) return found;
  struct stat status {};
  if (stat(".", &status) != 0) throw_errno("look at the storage directory");
  Candidate directory;
  directory.name = ".";
  directory.path = ".";
  directory.uid = status.st_uid;
  directory.gid = status.st_gid;
  return {directory};
}

void refuse_missing(std::vector<TargetPlace>& places, uid_t owner) {
  for (TargetPlace& place : places)
    if (!place.there)
      refuse(place.target,
             {ErrorKind::kRefused,
              "it is missing, and user " + std::to_string(geteuid()) +
                  " would make it, although the other databases belong to user " + std::to_string(owner),
              "set SERVER_USER to root or to user " + std::to_string(owner)});
}

}  // namespace

std::vector<TargetPlace> find_places(const RestoreRequest& request) {
  std::vector<std::string> names;
  for (const RestoreItem& item : request.items) names.push_back(item.name);
  std::vector<Candidate> found = find_databases(names);
  const Surroundings surroundings = Surroundings::look(found);
  refuse_other_doors(found, surroundings);
  std::map<std::string_view, const Candidate*> by_name;
  for (const Candidate& candidate : found) by_name[candidate.name] = &candidate;
  std::vector<TargetPlace> places;
  for (const RestoreItem& item : request.items) {
    const auto at = by_name.find(item.name);
    places.push_back(place_of(item, at == by_name.end() ? nullptr : at->second, surroundings));
    places.back().target.index = static_cast<std::uint32_t>(places.size() - 1);
  }
  return places;
}

std::vector<TargetPlace> places_of(const std::vector<Candidate>& found, const Surroundings& surroundings) {
  std::vector<TargetPlace> places;
  for (const Candidate& candidate : found) {
    TargetPlace place;
    place.item.name = candidate.name;
    place.there = candidate;
    place.target.index = static_cast<std::uint32_t>(places.size());
    add_status(place, surroundings.processes);
    places.push_back(std::move(place));
  }
  return places;
}

void describe(Target& target, const SourceDatabase& source) {
  target.page_size = source.page_size();
  target.page_count = source.page_count();
  target.journal_mode = source.journal_mode();
  target.wal_bytes = source.wal_bytes();
}

void become_owner(std::vector<TargetPlace>& places) {
  std::vector<Candidate> owners;
  std::vector<TargetPlace*> theirs;
  for (TargetPlace& place : places) {
    if (!place.there || place.there->problem) continue;
    owners.push_back(*place.there);
    theirs.push_back(&place);
  }
  if (owners.empty()) owners = siblings();
  become_owner(owners);
  for (std::size_t i = 0; i < theirs.size(); ++i)
    if (owners[i].problem) refuse(theirs[i]->target, *owners[i].problem);
  const bool ours = std::any_of(owners.begin(), owners.end(),
                                [](const Candidate& candidate) { return candidate.uid == geteuid(); });
  if (!ours) refuse_missing(places, owners.front().uid);
}

}  // namespace litepull
