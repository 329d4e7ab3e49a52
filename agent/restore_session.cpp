#include "agent/restore_session.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "agent/database_header.h"
#include "agent/doors.h"
#include "agent/guard_vfs.h"
#include "agent/hash_feed.h"
#include "agent/image.h"
#include "agent/new_file.h"
#include "agent/page_intake.h"
#include "agent/report.h"
#include "agent/rewrite.h"
#include "agent/source_database.h"
#include "agent/spool.h"
#include "agent/target.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

// How much is compared between two reports to the client; within what the client may be ahead.
constexpr std::uint32_t kReportPages = 16 * 1024;
constexpr std::uint64_t kBlockBytes = 1 << 20;
constexpr std::uint64_t kFreshUs = 1'000'000;

// The client's word that the databases may be changed.
class Consent {
 public:
  void give() {
    const std::lock_guard lock(mutex_);
    given_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool given() {
    const std::lock_guard lock(mutex_);
    return given_;
  }
  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return given_ || failure_; });
    if (!given_) std::rethrow_exception(failure_);
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool given_ = false;
  std::exception_ptr failure_;
};

// What the thread that hears the client and the main thread share.
struct FromClient {
  HashFeed hashes;
  PageIntake pages;
  Consent consent;
  bool may_consent = false;  // the hearing thread's, once it was told that all is prepared
  std::mutex mutex;          // guards may_consent

  void fail(const std::exception_ptr& failure) {
    hashes.fail(failure);
    pages.fail(failure);
    consent.fail(failure);
  }
};

// Collects the pages that the client is to send, and asks for them in messages of a sensible size.
class Asking {
 public:
  Asking(FrameWriter& writer, PageIntake& intake, std::uint32_t database, std::uint8_t round, bool only_count)
      : writer_(writer), intake_(intake), only_count_(only_count) {
    needed_.database = database;
    needed_.round = round;
  }

  void add(std::uint32_t first, std::uint32_t count) {
    total_ += count;
    if (only_count_) return;
    auto& runs = needed_.runs;
    if (!runs.empty() && runs.back().first + runs.back().count == first) {
      runs.back().count += count;
      return;
    }
    if (runs.size() == kMaxRuns) flush();
    runs.push_back({first, count});
  }

  void flush() {
    if (needed_.runs.empty()) return;
    intake_.ask(needed_.runs);
    writer_.write(MessageType::kNeeded, encode(needed_));
    needed_.runs.clear();
  }

  std::uint32_t total() const { return total_; }

 private:
  FrameWriter& writer_;
  PageIntake& intake_;
  const bool only_count_;
  Needed needed_;
  std::uint32_t total_ = 0;
};

// One database on its way.
struct Work {
  Place place;
  std::unique_ptr<SourceDatabase> source;  // until it is copied
  std::uint32_t compared = 0;              // pages whose hashes the client sends
  std::unique_ptr<Image> image;
  std::unique_ptr<NewFile> fresh;  // when it is missing
  std::uint32_t differing = 0;     // pages
};

class Restore {
 public:
  Restore(const RestoreRequest& request, const Confinement* confinement, FromClient& client,
          FrameWriter& writer)
      : request_(request), confinement_(confinement), client_(client), writer_(writer) {}

  // False when a database could not be restored after others may have been.
  [[nodiscard]] bool run() {
    enter_requested(confinement_, request_.directory);
    find();
    announce();
    if (request_.mode == RestoreMode::kLook) return done();
    refuse_any_problem();
    for (Work& work : works_) prepare(work);
    if (request_.mode == RestoreMode::kCompare) return done();
    require_room_for_the_change();
    wait_for_consent();
    return replace_all() && done();
  }

 private:
  void find() {
    std::vector<Place> places = find_places(request_);
    become_owner(places);
    writer_.write(MessageType::kHello, encode(make_hello()));
    for (Place& place : places) {
      Work work;
      work.place = std::move(place);
      works_.push_back(std::move(work));
      if (works_.back().place.target.state == TargetState::kThere) open(works_.back());
      if (works_.back().place.target.state == TargetState::kMissing) require_name_to_make(works_.back());
    }
  }

  void require_name_to_make(Work& work) const {
    const auto problem = confinement_ == nullptr ? std::nullopt : why_not_made(work.place.item.name);
    if (!problem) return;
    work.place.target.state = TargetState::kRefused;
    work.place.target.problem = *problem;
  }

  // What keeps it from being restored is told with all the others, not thrown.
  void open(Work& work) {
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

  static void require_page_size(const Work& work) {
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
    for (Work& work : works_) {
      if (work.place.target.state == TargetState::kThere)
        work.compared = std::min(work.place.target.page_count, work.place.item.pages);
      expected.push_back(work.compared);
    }
    client_.hashes.expect(std::move(expected));
    for (const Work& work : works_) writer_.write(MessageType::kTarget, encode(work.place.target));
  }

  void refuse_any_problem() {
    for (const Work& work : works_) {
      const Target& target = work.place.target;
      if (target.state != TargetState::kRefused) continue;
      throw Error(target.problem.kind, work.place.item.name + ": " + target.problem.message,
                  target.problem.hint);
    }
  }

  // Until its image is whole, or, when only comparing, until it is known how many pages differ.
  void prepare(Work& work) {
    Ready ready;
    ready.database = work.place.target.index;
    work.image = std::make_unique<Image>(work.place.item, request_.key);
    if (work.source) {
      work.source->pin();
      work.image->copy_from(*work.source);
      ready.hold_us = work.source->hold_us();
      work.source.reset();  // closes it: its locks and files are the app's alone again
    }
    if (request_.mode == RestoreMode::kRestore) client_.pages.begin(ready.database, *work.image);
    work.differing = ready.differing = compare(work);
    client_.hashes.finish(ready.database);
    if (request_.mode == RestoreMode::kCompare) {
      work.image.reset();
    } else {
      prove(work);
      if (!work.place.there) work.fresh = std::make_unique<NewFile>(work.place.item.name, *work.image);
    }
    writer_.write(MessageType::kReady, encode(ready));
  }

  // Asks for the pages that differ; returns how many.
  std::uint32_t compare(Work& work) {
    const RestoreItem& item = work.place.item;
    Asking asking(writer_, client_.pages, work.place.target.index, 0, request_.mode == RestoreMode::kCompare);
    const auto at_once = static_cast<std::uint32_t>(kBlockBytes / item.page_size);
    std::uint32_t reported = 0;
    for (std::uint32_t first = 1; first <= work.compared;) {
      const std::uint32_t count = std::min(at_once, work.compared - first + 1);
      compare_block(work, first, count, asking);
      first += count;
      if (first - 1 - reported < kReportPages) continue;
      reported = first - 1;
      report(work, reported, asking);
    }
    if (work.compared < item.pages) asking.add(work.compared + 1, item.pages - work.compared);
    if (reported < item.pages) report(work, item.pages, asking);
    return asking.total();
  }

  void compare_block(Work& work, std::uint32_t first, std::uint32_t count, Asking& asking) {
    client_.hashes.take(work.place.target.index, count, wanted_);
    work.image->read(first, count, block_);
    const std::uint32_t size = work.place.item.page_size;
    for (std::uint32_t i = 0; i < count; ++i)
      if (page_hash(ByteView(block_).subspan(std::size_t{i} * size, size), request_.key) != wanted_[i])
        asking.add(first + i, 1);
  }

  void report(const Work& work, std::uint32_t pages, Asking& asking) {
    asking.flush();
    writer_.write(MessageType::kCompared, encode(Compared{work.place.target.index, pages}));
  }

  // Two pages with the same hash, or a disk that lies: then all of it is sent.
  void prove(Work& work) {
    const RestoreItem& item = work.place.item;
    client_.pages.wait_for_all();
    if (work.image->digest() == item.digest) return require_database(work);
    Asking asking(writer_, client_.pages, work.place.target.index, 1, false);
    asking.add(1, item.pages);
    asking.flush();
    client_.pages.wait_for_all();
    work.differing = item.pages;
    if (work.image->digest() == item.digest) return require_database(work);
    throw Error(ErrorKind::kCorrupt,
                item.name + ": what arrived on the server is not what the snapshot's manifest says",
                "check the snapshot with litepull verify; nothing was changed on the server");
  }

  // What ends up under a database's name is one, whatever the client has sent.
  void require_database(const Work& work) {
    work.image->read(1, 1, block_);
    const std::string why = why_no_database(block_, work.place.item.page_size);
    if (why.empty()) return;
    throw Error(ErrorKind::kCorrupt, work.place.item.name + ": what arrived is no SQLite database: " + why,
                "check the snapshot with litepull verify; nothing was changed on the server");
  }

  // A transaction that runs into a full disk is rolled back; better not to begin it. What the app writes in
  // the meantime is beyond this.
  void require_room_for_the_change() {
    constexpr std::uint64_t kPerPage = 32;  // of a WAL frame's or a journal's own
    std::uint64_t needed = 0;
    for (const Work& work : works_) {
      if (work.fresh) continue;  // is there already
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
    {
      const std::lock_guard lock(client_.mutex);
      client_.may_consent = true;
    }
    writer_.write(MessageType::kPrepared);
    client_.consent.wait();
  }

  // From here on the client may be gone: what it asked for is done all the same.
  bool replace_all() {
    for (Work& work : works_) {
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

  // Once more, since the app may have been started another way while the pages were on their way. All that
  // was seen is at most kFreshUs old.
  void require_our_door(const Work& work) {
    if (monotonic_us() - seen_us_ > kFreshUs) {
      surroundings_ = Surroundings::look(candidates());
      seen_us_ = monotonic_us();
    }
    const Place& place = work.place;
    const auto problem = place.there ? other_door_of(*place.there, surroundings_)
                                     : other_door_of_missing(place.item.name, surroundings_);
    if (problem) throw Error(*problem);
  }

  std::vector<Candidate> candidates() const {
    std::vector<Candidate> all;
    for (const Work& work : works_)
      if (work.place.there) all.push_back(*work.place.there);
    return all;
  }

  Restored replace(Work& work) {
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
  std::vector<Work> works_;
  Surroundings surroundings_;  // as of seen_us_
  std::uint64_t seen_us_ = 0;
  Bytes block_;
  std::vector<std::uint32_t> wanted_;
};

bool take(FromClient& client, const Frame& frame) {
  switch (frame.type) {
    case MessageType::kHashes:
      client.hashes.add(decode_hashes(frame.body));
      return true;
    case MessageType::kPut:
      client.pages.put(frame.body);
      return true;
    case MessageType::kCommit: {
      const std::lock_guard lock(client.mutex);
      if (!client.may_consent) return false;
      client.consent.give();
      return true;
    }
    default:
      return false;
  }
}

void gone(FromClient& client, const Error& why) {
  client.fail(std::make_exception_ptr(why));
  // It has asked for the change. The main thread ends the process when that is done.
  while (client.consent.given()) pause();
}

}  // namespace

void restore_and_exit(const RestoreRequest& request, const Confinement* confinement, DeadlineSource& source,
                      FrameReader& reader, FrameWriter& writer) {
  source.set_silence_ms(request.silence_ms);
  FromClient client;
  ClientWatch watch(source, reader);
  watch.start({.take = [&](const Frame& frame) { return take(client, frame); },
               .gone = [&](const Error& why) { gone(client, why); },
               .tick = [&] { writer.try_write(MessageType::kAlive); }});
  int status = 1;
  try {
    status =
        run_and_tell(writer, [&] { return Restore(request, confinement, client, writer).run() ? 0 : 1; });
  } catch (const std::exception&) {
  }
  // Not by returning: the other thread uses what lives here.
  _exit(status);
}

}  // namespace litepull
