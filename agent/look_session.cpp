#include "agent/look_session.h"

#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <vector>

#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/guard_vfs.h"
#include "agent/report.h"
#include "agent/source_database.h"
#include "agent/target.h"
#include "agent/unmatched.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"

namespace litepull {
namespace {

Storage look_at_storage(bool all_seen) {
  struct stat status {};
  if (stat(".", &status) != 0) throw_errno("look at the storage directory");
  const std::optional<DiskSpace> disk = disk_space(".");
  if (!disk) throw_errno("look at the disk of the storage directory");
  Storage storage;
  storage.file_system = file_system_name(".");
  storage.available_bytes = disk->free_bytes;
  storage.uid = status.st_uid;
  storage.gid = status.st_gid;
  storage.mode = status.st_mode & 07777;
  storage.processes_seen = all_seen;
  return storage;
}

void look_at_database(GuardVfs& guard, TargetPlace& place) {
  Target& target = place.target;
  if (target.state != TargetState::kThere) return;
  try {
    SourceDatabase database(guard, *place.there);
    database.pin();
    database.release();
    describe(target, database);
    if (target.page_count == 0)
      throw Error(ErrorKind::kCorrupt, "it has no pages", "name it in EXCLUDE if that is intended");
  } catch (const Error& error) {
    target.state = TargetState::kRefused;
    target.problem = error.problem();
  }
}

// A missing /proc concerns every user. The client itself tells a user who may not look at other users'
// processes.
bool has_proc(Notices& notices) {
  if (access("/proc/self/fd", F_OK) == 0) return true;
  notices.push_back(
      {"there is no /proc on the server: nobody can see which programs have the databases open, or by "
       "which other name an app opens them",
       "mount it there: mount -t proc proc /proc"});
  return false;
}

int look(const LookRequest& request, const Confinement* confinement, FrameWriter& writer) {
  enter_requested(confinement, request.directory);
  Request names;
  names.directory = request.directory;
  names.databases = request.databases;
  names.exclude = request.exclude;
  Notices notices;
  std::vector<Candidate> candidates = discover(names, notices);
  const Surroundings surroundings = Surroundings::look(candidates);
  refuse_other_doors(candidates, surroundings);
  std::vector<TargetPlace> places = places_of(candidates, surroundings);
  become_owner(places);
  const Unmatched unmatched = find_unmatched(names);  // no lock can be lost yet by opening files
  const bool all_seen = !has_proc(notices) || surroundings.processes.all_seen;
  writer.write(MessageType::kHello, encode(make_hello()));
  for (const Notice& notice : notices) writer.write(MessageType::kNotice, encode(notice));
  if (unmatched.worth_telling()) writer.write(MessageType::kUnmatched, encode(unmatched));
  writer.write(MessageType::kStorage, encode(look_at_storage(all_seen)));
  GuardVfs guard;
  for (TargetPlace& place : places) {
    look_at_database(guard, place);
    writer.write(MessageType::kFound,
                 encode(Found{short_name(place.item.name, kMaxNameBytes), place.target}));
  }
  writer.write(MessageType::kDone, encode(make_done()));
  return 0;
}

}  // namespace

void look_and_exit(const LookRequest& request, const Confinement* confinement, DeadlineSource& source,
                   FrameReader& reader, FrameWriter& writer) {
  source.set_silence_ms(request.silence_ms);
  ClientWatch watch(source, reader);
  watch.start({.take = [](const Frame&) { return false; },
               .gone = [](const Error&) {},
               .tick = [&] { writer.try_write(MessageType::kAlive); }});
  int status = 1;
  try {
    status = run_and_tell(writer, [&] { return look(request, confinement, writer); });
  } catch (const std::exception&) {
    // Nobody is left to hear it.
  }
  // Returning would destroy what the other thread uses.
  _exit(status);
}

}  // namespace litepull
