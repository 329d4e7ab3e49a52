#include "agent/restore_session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/from_client.h"
#include "agent/guard_vfs.h"
#include "agent/report.h"
#include "agent/restore_image.h"
#include "agent/rewrite.h"
#include "agent/source_database.h"
#include "agent/spool.h"
#include "agent/target.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::uint64_t kFreshUs = 1'000'000;

class Restore {
 public:
  Restore(const RestoreRequest& request, const Confinement* confinement, FromClient& client,
          FrameWriter& writer)
      : request_(request), confinement_(confinement), client_(client), writer_(writer) {}

  // False when a database could not be restored, although others may have been before it.
  [[nodiscard]] bool run() {
    enter_requested(confinement_, request_.directory);
    find();
    announce();
    if (request_.mode == RestoreMode::kLook) return done();
    refuse_any_problem();
    ImageMaker images(request_, client_, writer_);
    for (RestoreWork& work : works_) images.make(work);
    if (request_.mode == RestoreMode::kCompare) return done();
    require_room_for_the_change();
    wait_for_consent();
    return replace_all() && done();
  }

 private:
  void find() {
    std::vector<TargetPlace> places = find_places(request_);
    become_owner(places);
    writer_.write(MessageType::kHello, encode(make_hello()));
    for (TargetPlace& place : places) {
      RestoreWork work;
      work.place = std::move(place);
      works_.push_back(std::move(work));
      if (works_.back().place.target.state == TargetState::kThere) open(works_.back());
      if (works_.back().place.target.state == TargetState::kMissing) require_name_to_make(works_.back());
    }
  }

  void require_name_to_make(RestoreWork& work) const {
    const auto problem = confinement_ == nullptr ? std::nullopt : why_not_made(work.place.item.name);
    if (!problem) return;
    work.place.target.state = TargetState::kRefused;
    work.place.target.problem = *problem;
  }

  // Does not throw what keeps this database from being restored: the client is told that with all the
  // targets.
  void open(RestoreWork& work) {
    Target& target = work.place.target;
    try {
      work.source = std::make_unique<SourceDatabase>(guard_, *work.place.there);
      work.source->pin();
      work.source->release();
      describe(target, *work.source);
      require_page_size(work);
      work.source->rest();
    } catch (const Error& error) {
      work.source.reset();
      target.state = TargetState::kRefused;
      target.problem = error.problem();
      if (error.kind() == ErrorKind::kCorrupt)
        target.problem.hint =
            "stop the app, move that file away together with its -wal and -shm, and run this again: "
            "it is then made new";
    }
  }

  static void require_page_size(const RestoreWork& work) {
    const std::uint32_t here = work.place.target.page_size, wanted = work.place.item.page_size;
    if (work.place.target.page_count == 0) throw Error(ErrorKind::kCorrupt, "it has no pages");
    if (here == wanted) return;
    throw Error(ErrorKind::kRefused,
                "its pages have " + std::to_string(here) + " bytes on the server and " +
                    std::to_string(wanted) + " in the snapshot: one transaction cannot change that",
                "stop the app, take the snapshot's file with litepull restore CONFIG SNAPSHOT --to DIR, and "
                "copy it to the server in place of the database, its -wal and its -shm");
  }

  void announce() {
    std::vector<std::uint32_t> expected;
    for (RestoreWork& work : works_) {
      if (work.place.target.state == TargetState::kThere)
        work.compared = std::min(work.place.target.page_count, work.place.item.pages);
      expected.push_back(work.compared);
    }
    client_.hashes.expect(std::move(expected));
    for (const RestoreWork& work : works_) writer_.write(MessageType::kTarget, encode(work.place.target));
  }

  void refuse_any_problem() {
    for (const RestoreWork& work : works_) {
      const Target& target = work.place.target;
      if (target.state != TargetState::kRefused) continue;
      throw Error(target.problem.kind, work.place.item.name + ": " + target.problem.message,
                  target.problem.hint);
    }
  }

  // A transaction that fills the disk is rolled back, so it had better not begin. What the app writes in the
  // meantime is not counted.
  void require_room_for_the_change() {
    constexpr std::uint64_t kPerPage = 32;  // at least what a WAL or a journal adds to each page
    std::uint64_t needed = 0;
    for (const RestoreWork& work : works_) {
      if (work.fresh) continue;  // its file is on the disk already
      const Target& target = work.place.target;
      const RestoreItem& item = work.place.item;
      needed += std::uint64_t{work.differing} * (item.page_size + kPerPage);
      if (item.pages > target.page_count)
        needed += std::uint64_t{item.pages - target.page_count} * item.page_size;
    }
    const std::uint64_t available = bytes_free_to_use(open_path(".", O_PATH | O_DIRECTORY).get());
    if (needed > available)
      throw Error(ErrorKind::kRefused,
                  "replacing the databases needs " + std::to_string((needed >> 20) + 1) +
                      " MiB on the disk of the storage directory, which has " +
                      std::to_string(available >> 20) + " MiB left beside what stays for the app",
                  "free some space there, then run this again; nothing was changed on the server");
  }

  void wait_for_consent() {
    client_.consent.allow();
    writer_.write(MessageType::kPrepared);
    client_.consent.wait();
  }

  // From here on the work goes on even if the client is gone.
  bool replace_all() {
    for (RestoreWork& work : works_) {
      try {
        tell(MessageType::kRestored, encode(replace(work)));
      } catch (const Error& error) {
        tell(MessageType::kFailed, encode(DatabaseFailed{work.place.target.index, error.problem()}));
        tell(MessageType::kDone, encode(make_done()));
        return false;
      }
      work.image.reset();
    }
    return true;
  }

  // Looks again, because the app may have been started in another way while the pages were on their way. What
  // was seen is at most kFreshUs old.
  void require_our_door(const RestoreWork& work) {
    if (monotonic_us() - seen_us_ > kFreshUs) {
      surroundings_ = Surroundings::look(candidates());
      seen_us_ = monotonic_us();
    }
    const TargetPlace& place = work.place;
    const auto problem = place.there ? other_door_of(*place.there, surroundings_)
                                     : other_door_of_missing(place.item.name, surroundings_);
    if (problem) throw Error(*problem);
  }

  std::vector<Candidate> candidates() const {
    std::vector<Candidate> all;
    for (const RestoreWork& work : works_)
      if (work.place.there) all.push_back(*work.place.there);
    return all;
  }

  Restored replace(RestoreWork& work) {
    require_our_door(work);
    Restored restored;
    if (work.fresh) {
      work.fresh->publish();
      restored.created = 1;
      restored.pages_written = restored.page_count = work.place.item.pages;
    } else {
      restored = rewrite(*work.place.there, *work.image, work.place.item.digest, work.differing);
    }
    restored.database = work.place.target.index;
    return restored;
  }

  void tell(MessageType type, const Bytes& body) {
    try {
      writer_.write(type, body);
    } catch (const Error&) {
      // Nobody is left to hear it.
    }
  }

  bool done() {
    tell(MessageType::kDone, encode(make_done()));
    return true;
  }

  const RestoreRequest& request_;
  const Confinement* confinement_;
  FromClient& client_;
  FrameWriter& writer_;
  GuardVfs guard_;
  std::vector<RestoreWork> works_;
  Surroundings surroundings_;  // as of seen_us_
  std::uint64_t seen_us_ = 0;
};

void gone(FromClient& client, const Error& why) {
  client.fail(std::make_exception_ptr(why));
  // After its consent the change goes on. The main thread ends the process when that is done.
  while (client.consent.given()) pause();
}

}  // namespace

void restore_and_exit(const RestoreRequest& request, const Confinement* confinement, DeadlineSource& source,
                      FrameReader& reader, FrameWriter& writer) {
  source.set_silence_ms(request.silence_ms);
  FromClient client;
  ClientWatch watch(source, reader);
  watch.start({.take = [&](const Frame& frame) { return client.take(frame); },
               .gone = [&](const Error& why) { gone(client, why); },
               .tick = [&] { writer.try_write(MessageType::kAlive); }});
  int status = 1;
  try {
    status =
        run_and_tell(writer, [&] { return Restore(request, confinement, client, writer).run() ? 0 : 1; });
  } catch (const std::exception&) {
    // Nobody is left to hear it.
  }
  // Returning would destroy what the other thread uses.
  _exit(status);
}

}  // namespace litepull
