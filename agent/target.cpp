#include "agent/target.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>

#include "agent/owner.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

using FileId = std::pair<dev_t, ino_t>;
using Holders = std::map<FileId, std::vector<Holder>>;

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

// Nothing when there is none, or it is not ours to read: processes end all the time.
Directory open_directory(int dir_fd, const std::string& path) {
  Fd fd(openat(dir_fd, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Directory directory(fd ? fdopendir(fd.get()) : nullptr);
  if (directory) fd.release();
  return directory;
}

std::string command_of(int proc_fd, const std::string& pid) {
  const Fd file(openat(proc_fd, (pid + "/comm").c_str(), O_RDONLY | O_CLOEXEC));
  char name[kMaxCommandBytes] = {};
  const ssize_t size = file ? ::read(file.get(), name, sizeof name) : 0;
  std::string command(name, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  while (command.ends_with('\n')) command.pop_back();
  return command;
}

// The file behind a descriptor, without asking a server for it, should it be on a network file system.
std::optional<FileId> file_behind(int fds_fd, const char* number) {
  struct statx status {};
  if (statx(fds_fd, number, AT_STATX_DONT_SYNC, STATX_INO, &status) != 0) return std::nullopt;
  return FileId{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

void look_at_process(int proc_fd, const std::string& pid, Holders& wanted) {
  const Directory fds = open_directory(proc_fd, pid + "/fd");
  if (!fds) return;
  while (const dirent* entry = readdir(fds.get())) {
    if (entry->d_name[0] == '.') continue;
    const auto file = file_behind(dirfd(fds.get()), entry->d_name);
    const auto found = file ? wanted.find(*file) : wanted.end();
    if (found == wanted.end() || found->second.size() >= kMaxHolders) continue;
    const auto number = static_cast<std::uint32_t>(std::strtoul(pid.c_str(), nullptr, 10));
    if (!found->second.empty() && found->second.back().pid == number) continue;
    found->second.push_back({number, command_of(proc_fd, pid)});
  }
}

void find_holders(Holders& wanted) {
  const Directory proc = open_directory(AT_FDCWD, "/proc");
  if (!proc) return;
  const std::string self = std::to_string(getpid());
  while (const dirent* entry = readdir(proc.get())) {
    const std::string name = entry->d_name;
    if (name[0] >= '0' && name[0] <= '9' && name != self) look_at_process(dirfd(proc.get()), name, wanted);
  }
}

FileId id_of(const Candidate& candidate) {
  return {candidate.device, candidate.inode};
}

void add_holders(std::vector<Place>& places) {
  Holders holders;
  for (const Place& place : places)
    if (place.there) holders[id_of(*place.there)];
  find_holders(holders);
  for (Place& place : places)
    if (place.there) place.target.holders = holders[id_of(*place.there)];
}

void refuse(Target& target, const Problem& problem) {
  target.state = TargetState::kRefused;
  target.problem = problem;
}

// What can be said without opening it.
void add_status(Place& place) {
  struct stat status {};
  if (lstat(place.there->path.c_str(), &status) != 0) throw_errno("look at " + printable(place.item.name));
  place.target.uid = status.st_uid;
  place.target.gid = status.st_gid;
  place.target.mode = status.st_mode & 07777;
  if (place.there->problem) refuse(place.target, *place.there->problem);
}

// Those by whose owner a missing database's is told, and if there is none, the directory.
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

void refuse_missing(std::vector<Place>& places, uid_t owner) {
  for (Place& place : places)
    if (!place.there)
      refuse(place.target,
             {ErrorKind::kRefused,
              "it is missing, and user " + std::to_string(geteuid()) +
                  " would make it, although the other databases belong to user " + std::to_string(owner),
              "set SERVER_USER to root or to user " + std::to_string(owner)});
}

}  // namespace

std::vector<Place> find_places(const RestoreRequest& request) {
  std::vector<std::string> names;
  for (const RestoreItem& item : request.items) names.push_back(item.name);
  const std::vector<Candidate> found = find_databases(names);
  std::vector<Place> places;
  for (const RestoreItem& item : request.items) {
    Place place;
    place.item = item;
    place.target.index = static_cast<std::uint32_t>(places.size());
    const auto at = std::find_if(found.begin(), found.end(),
                                 [&](const Candidate& candidate) { return candidate.name == item.name; });
    if (at != found.end()) place.there = *at;
    place.target.state = place.there ? TargetState::kThere : TargetState::kMissing;
    if (place.there) add_status(place);
    places.push_back(std::move(place));
  }
  add_holders(places);
  return places;
}

std::vector<Place> places_of(const std::vector<Candidate>& found) {
  std::vector<Place> places;
  for (const Candidate& candidate : found) {
    Place place;
    place.item.name = candidate.name;
    place.there = candidate;
    place.target.index = static_cast<std::uint32_t>(places.size());
    add_status(place);
    places.push_back(std::move(place));
  }
  add_holders(places);
  return places;
}

void describe(Target& target, const SourceDatabase& source) {
  target.page_size = source.page_size();
  target.page_count = source.page_count();
  target.journal_mode = source.journal_mode();
  target.wal_bytes = source.wal_bytes();
}

void become_owner(std::vector<Place>& places) {
  std::vector<Candidate> owners;
  std::vector<Place*> theirs;
  for (Place& place : places) {
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
