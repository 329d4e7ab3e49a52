#include "agent/pull_session.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "agent/copy.h"
#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/guard_vfs.h"
#include "agent/hash_feed.h"
#include "agent/hold_watch.h"
#include "agent/outbox.h"
#include "agent/owner.h"
#include "agent/pin.h"
#include "agent/priority.h"
#include "agent/report.h"
#include "agent/source_database.h"
#include "agent/unmatched.h"
#include "common/error.h"
#include "common/heap.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "common/wire/frame.h"

namespace litepull {
namespace {

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

// What an open database takes of this process's memory is some 40 KB.
constexpr std::size_t kMaxOpenDatabases = 1024;
// Where they are more: what is pinned early is held until its turn, and nothing is won by that.
constexpr std::size_t kMaxOfATurn = 256;

// One after the other where they are `in_turns`, else all are open then.
Databases open_all(GuardVfs& guard, const std::vector<Candidate>& candidates, bool in_turns,
                   std::vector<Unpinned>& left_out) {
  Databases databases;
  for (const Candidate& candidate : candidates) {
    if (candidate.problem) {
      left_out.push_back({candidate.name, *candidate.problem});
      continue;
    }
    try {
      databases.push_back(std::make_unique<SourceDatabase>(guard, candidate));
      if (in_turns) databases.back()->rest();
    } catch (const Error& error) {
      left_out.push_back({candidate.name, problem_of(error)});
    }
  }
  return databases;
}

// The client's copies, by the names of their databases.
class Bases {
 public:
  explicit Bases(const std::vector<Base>& bases) {
    for (const Base& base : bases) by_name_.emplace(base.name, &base);
  }
  // When it can be compared page by page.
  const Base* of(const SourceDatabase& database) const {
    const auto base = by_name_.find(database.name());
    return base == by_name_.end() || base->second->page_size != database.page_size() ? nullptr : base->second;
  }

 private:
  std::map<std::string_view, const Base*> by_name_;
};

// One that rests was read for a moment in this run: what it was then is as good a state as a later one.
bool is_unchanged(const SourceDatabase& database, const Base& base, const DigestKey& key) {
  return (database.pinned() || database.is_resting()) && base.state != kNoState &&
         base.state == database.state(key) && base.pages == database.page_count();
}

using Rank = std::tuple<bool, std::size_t, JournalMode, bool, std::uint64_t, std::string>;

void sort_by(Databases& databases, const std::vector<Rank>& ranks) {
  std::vector<std::pair<Rank, std::unique_ptr<SourceDatabase>>> ranked;
  for (std::size_t i = 0; i < databases.size(); ++i) ranked.emplace_back(ranks[i], std::move(databases[i]));
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::transform(ranked.begin(), ranked.end(), databases.begin(),
                 [](auto& each) { return std::move(each.second); });
}

// Rollback-journal databases first, since their writers wait, and of those the ones that are pinned; then the
// small ones, so that a large one does not hold them up; then those that need not be read, and hold nothing.
// Where they are pinned in turns, those whose names are next to each other are pinned together.
void sort_for_copying(Databases& databases, const Bases& bases, const DigestKey& key, std::size_t together) {
  std::vector<Rank> ranks;
  for (const auto& database : databases) {
    const Base* base = bases.of(*database);
    const std::uint64_t bytes = std::uint64_t{database->page_size()} * database->page_count();
    ranks.emplace_back(base != nullptr && is_unchanged(*database, *base, key), 0, database->journal_mode(),
                       !database->pinned(), database->is_resting() ? 0 : bytes, database->name());
  }
  sort_by(databases, ranks);
  if (databases.size() <= together) return;
  std::sort(ranks.begin(), ranks.end());
  for (std::size_t i = 0; i < databases.size(); ++i) {
    std::get<1>(ranks[i]) = i / together;
    std::get<4>(ranks[i]) = std::uint64_t{databases[i]->page_size()} * databases[i]->page_count();
  }
  sort_by(databases, ranks);
}

// What the client has of each database, in their order.
struct Known {
  std::uint32_t pages = 0;  // to compare
  std::uint32_t page_size = 0;
  const Base* unchanged = nullptr;  // nothing needs to be compared
};

// Whatever needs no reading is let go of at once.
std::vector<Known> known_of(const Databases& databases, const Bases& bases, const DigestKey& key) {
  std::vector<Known> all;
  for (const auto& database : databases) {
    Known& known = all.emplace_back();
    const Base* base = bases.of(*database);
    if (base == nullptr) continue;
    known.pages = std::min(base->pages, database->page_count());
    known.page_size = base->page_size;
    if (!is_unchanged(*database, *base, key)) continue;
    known.unchanged = base;
    database->release();
  }
  return all;
}

DatabaseInfo info_of(std::uint32_t index, const SourceDatabase& database, const Known& known) {
  DatabaseInfo info;
  info.index = index;
  info.name = database.name();
  info.page_size = database.page_size();
  info.page_count = database.page_count();
  info.journal_mode = database.journal_mode();
  info.wal_bytes = database.wal_bytes_at_pin();
  info.base_pages = known.pages;
  info.unchanged = known.unchanged != nullptr;
  return info;
}

void announce(Outbox& outbox, HashFeed& hashes, const Databases& databases, const std::vector<Known>& known,
              const std::vector<Unpinned>& left_out, SetInfo& set) {
  std::vector<std::uint32_t> expected;
  for (const Known& each : known) expected.push_back(each.unchanged ? 0 : each.pages);
  hashes.expect(expected);
  std::uint32_t index = 0;
  for (const auto& database : databases) {
    outbox.send(MessageType::kDatabase, encode(info_of(index, *database, known[index])));
    ++index;
  }
  for (const auto& [name, problem] : left_out) {
    DatabaseInfo info;
    info.index = index++;
    info.name = short_name(name, kMaxNameBytes);
    info.failed = true;
    info.problem = problem;
    outbox.send(MessageType::kDatabase, encode(info));
  }
  set.databases = index;
  outbox.send(MessageType::kSet, encode(set));
}

// In steps, since the client copies what it has in step with them.
DatabaseEnd send_unchanged(std::uint32_t index, const SourceDatabase& database, const Base& base,
                           Outbox& outbox) {
  const auto step = static_cast<std::uint32_t>(kReportBytes / base.page_size);
  for (std::uint64_t pages = step; pages < base.pages; pages += step)
    outbox.send(MessageType::kCompared, encode(Compared{index, static_cast<std::uint32_t>(pages)}));
  DatabaseEnd end;
  end.database = index;
  end.page_count = base.pages;
  end.digest = base.digest;
  end.hold_us = database.hold_us();
  end.wal_bytes = database.wal_bytes_at_pin();
  end.state = base.state;
  return end;
}

void refuse_empty(const SourceDatabase& database) {
  if (database.page_count() == 0)
    throw Error(ErrorKind::kCorrupt, "it has no pages", "name it in EXCLUDE if that is intended");
}

// What became of the set once its databases are copied: databases that were not pinned with the others are
// pinned in their turn. Those that rest, as many together as may be open at a time; and alone a
// rollback-journal database whose lock was not free, or that could not be held until its turn.
class Turns {
 public:
  Turns(Databases& databases, std::vector<Known>& known, HashFeed& hashes, Outbox& outbox,
        std::uint32_t barrier_ms, std::size_t together)
      : databases_(databases),
        known_(known),
        hashes_(hashes),
        outbox_(outbox),
        barrier_ms_(barrier_ms),
        together_(together) {
    for (const auto& database : databases_)
      if (database->blocks_writers()) watch_.watch(*database);
  }

  // From here on the database is pinned, and this thread's. Throws Error when it cannot be pinned.
  void begin(std::uint32_t index) {
    if (waits_for_its_group(index)) pin_group(index);
    if (const auto failed = failed_.find(index); failed != failed_.end())
      throw Error(failed->second.kind, failed->second.message, failed->second.hint);
    SourceDatabase& database = *databases_[index];
    watch_.take(database);
    const bool unchanged = known_[index].unchanged != nullptr;
    const bool alone = !database.pinned() && !unchanged;
    if (alone) pin_alone(database);
    if (is_later_.erase(index) > 0 || alone) announce_again(index, database);
    first_us_ = std::min(first_us_, database.pinned_since_us());
    last_us_ = std::max(last_us_, database.pinned_since_us());
  }

  // `set` as it turned out; false when it was as it was announced.
  bool correct(SetInfo& set) const {
    if (!announced_again_) return false;
    set.consistency = Consistency::kPinned;
    set.skew_us = last_us_ - first_us_;
    set.lock_hold_us = std::max(set.lock_hold_us, lock_hold_us_);
    if (alone_.empty()) return true;
    if (!set.note.empty()) set.note += "; ";
    set.note += names_of_alone() + (alone_.size() == 1 ? " was" : " were") +
                " pinned in turn, alone, so that no writer had to wait for another database";
    return true;
  }

 private:
  bool waits_for_its_group(std::uint32_t index) const {
    return databases_[index] != nullptr && databases_[index]->is_resting() &&
           known_[index].unchanged == nullptr && !failed_.contains(index);
  }

  // The next ones, of which none has had its turn. One that fails leaves the others what they are.
  void pin_group(std::uint32_t first) {
    Databases group;
    std::map<std::string, std::uint32_t> places;
    const auto fail = [&](const std::string& name, const Problem& problem) {
      failed_.emplace(places.at(name), problem);
    };
    for (std::uint32_t i = first;
         i < databases_.size() && places.size() < together_ && waits_for_its_group(i); ++i) {
      places.emplace(databases_[i]->name(), i);
      is_later_.insert(i);
      try {
        databases_[i]->wake();
        group.push_back(std::move(databases_[i]));
      } catch (const Error& error) {
        fail(databases_[i]->name(), problem_of(error));
      }
    }
    const PinResult pinned = pin_set(group, barrier_ms_);
    lock_hold_us_ = std::max(lock_hold_us_, pinned.set.lock_hold_us);
    for (const Unpinned& unpinned : pinned.unpinned) fail(unpinned.name, unpinned.problem);
    for (auto& database : group) {
      if (database->blocks_writers()) watch_.watch(*database);
      auto& place = databases_[places.at(database->name())];
      place = std::move(database);
    }
    return_free_memory();
  }

  void pin_alone(SourceDatabase& database) {
    watch_.let_go_of_all();  // this may wait for a lock
    database.pin();
    alone_.push_back(database.name());
  }

  void announce_again(std::uint32_t index, const SourceDatabase& database) {
    refuse_empty(database);
    Known& known = known_[index];
    if (known.pages > database.page_count() || known.page_size != database.page_size()) {
      known.pages = 0;
      hashes_.forgo(index);
    }
    outbox_.send(MessageType::kDatabase, encode(info_of(index, database, known)));
    announced_again_ = true;
  }

  std::string names_of_alone() const {
    constexpr std::size_t kNamed = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(alone_.size(), kNamed); ++i)
      names += (i == 0 ? "" : ", ") + printable(alone_[i]);
    if (alone_.size() > kNamed) names += " and " + std::to_string(alone_.size() - kNamed) + " more";
    return names;
  }

  Databases& databases_;
  std::vector<Known>& known_;
  HashFeed& hashes_;
  Outbox& outbox_;
  const std::uint32_t barrier_ms_;
  const std::size_t together_;
  HoldWatch watch_;
  std::uint64_t first_us_ = UINT64_MAX, last_us_ = 0;
  std::uint64_t lock_hold_us_ = 0;
  std::map<std::uint32_t, Problem> failed_;  // of a group, by index
  std::set<std::uint32_t> is_later_;         // of a group, and not announced again so far
  std::vector<std::string> alone_;
  bool announced_again_ = false;
};

void copy_all(Outbox& outbox, Databases& databases, const std::vector<Known>& known, Turns& turns,
              const HoldPolicy& policy, const DigestKey& key) {
  for (std::uint32_t index = 0; index < databases.size(); ++index) {
    // Rollback-journal databases come first; from the first that is none, nobody waits for this thread.
    if (databases[index] != nullptr && databases[index]->journal_mode() != JournalMode::kRollback)
      yield_to_the_app();
    const auto pinned = std::span<const std::unique_ptr<SourceDatabase>>(databases).subspan(index);
    const Base* unchanged = known[index].unchanged;
    try {
      turns.begin(index);
      outbox.send_end(unchanged ? send_unchanged(index, *databases[index], *unchanged, outbox)
                                : copy_database(*databases[index], index, pinned, policy, key, outbox));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled || error.kind() == ErrorKind::kConnection) throw;
      outbox.send_failed({index, problem_of(error)});
    }
    databases[index].reset();  // closes it: its locks and files are the app's alone again
  }
}

// A database of no pages would have nothing to send; one is given by a deleted schema, say.
void leave_out_empty(Databases& databases, std::vector<Unpinned>& left_out) {
  std::erase_if(databases, [&](const auto& database) {
    try {
      refuse_empty(*database);
      return false;
    } catch (const Error& error) {
      left_out.push_back({database->name(), problem_of(error)});
      return true;
    }
  });
}

std::uint64_t wal_bytes_of(const Databases& databases) {
  std::uint64_t bytes = 0;
  for (const auto& database : databases) bytes += database->wal_bytes_at_pin();
  return bytes;
}

rlim_t open_files_allowed() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// How many databases may be open at a time. Each of WAL mode takes five descriptors while a set is being
// pinned, and memory for as long as it is open.
std::size_t how_many_together() {
  constexpr rlim_t kPerDatabase = 5, kForTheRest = 64;
  const rlim_t files = open_files_allowed();
  const rlim_t fit = files > kForTheRest ? (files - kForTheRest) / kPerDatabase : 0;
  return static_cast<std::size_t>(std::clamp<rlim_t>(fit, 1, kMaxOpenDatabases));
}

std::string why_in_turns(std::size_t databases, std::size_t together, std::size_t in_a_turn) {
  const std::string why = together == kMaxOpenDatabases
                              ? "no more than " + std::to_string(kMaxOpenDatabases) + " are pinned together"
                              : "the login may have no more than " + std::to_string(open_files_allowed()) +
                                    " files open on the server (ulimit -Hn)";
  return std::to_string(databases) + " databases were pinned in turns of " + std::to_string(in_a_turn) +
         ": " + why;
}

// Nothing is pinned yet; each was read for a moment while they were opened, one after the other.
PinResult pin_later(const Databases& databases, std::string note) {
  PinResult result;
  result.set.consistency = Consistency::kPinned;
  result.set.note = std::move(note);
  std::uint64_t first = UINT64_MAX, last = 0;
  for (const auto& database : databases) {
    first = std::min(first, database->pinned_since_us());
    last = std::max(last, database->pinned_since_us());
  }
  result.set.skew_us = last > first ? last - first : 0;
  if (databases.empty()) result.set = {};
  return result;
}

void pull(const Request& request, const Confinement* confinement, HashFeed& hashes, Outbox& outbox) {
  enter_requested(confinement, request.directory);
  Notices notices;
  std::vector<Candidate> candidates = discover(request, notices);
  refuse_other_doors(candidates, Surroundings::look(candidates));
  become_owner(candidates);
  const Unmatched unmatched = find_unmatched(request);  // while no lock can be lost by it
  outbox.send(MessageType::kHello, encode(make_hello()));
  for (const Notice& notice : notices) outbox.send(MessageType::kNotice, encode(notice));
  if (unmatched.worth_telling()) outbox.send(MessageType::kUnmatched, encode(unmatched));

  GuardVfs guard;
  std::vector<Unpinned> left_out;
  const std::size_t together = how_many_together();
  const bool in_turns = candidates.size() > together;
  Databases databases = open_all(guard, candidates, in_turns, left_out);
  const std::size_t in_a_turn = std::min(together, kMaxOfATurn);
  PinResult pinned = in_turns ? pin_later(databases, why_in_turns(databases.size(), together, in_a_turn))
                              : pin_set(databases, request.barrier_ms);
  left_out.insert(left_out.end(), pinned.unpinned.begin(), pinned.unpinned.end());
  leave_out_empty(databases, left_out);
  const Bases bases(request.bases);
  sort_for_copying(databases, bases, request.key, in_turns ? in_a_turn : together);
  std::vector<Known> known = known_of(databases, bases, request.key);
  return_free_memory();  // of the connections that held the write locks: pages are to have room now
  Turns turns(databases, known, hashes, outbox, request.barrier_ms, in_a_turn);
  announce(outbox, hashes, databases, known, left_out, pinned.set);
  const std::uint64_t wal_growth =
      confinement == nullptr
          ? request.wal_growth_max_bytes
          : confinement->bounded_wal_growth(request.wal_growth_max_bytes, wal_bytes_of(databases));
  copy_all(outbox, databases, known, turns, {std::uint64_t{1000} * request.hold_max_ms, wal_growth},
           request.key);
  if (turns.correct(pinned.set)) outbox.send(MessageType::kSet, encode(pinned.set));
  outbox.send(MessageType::kDone, encode(make_done()));
  outbox.flush();
}

int tell(Outbox& outbox, const Problem& problem) {
  outbox.send(MessageType::kError, encode(problem));
  outbox.flush();
  return 1;
}

// Without a client, telling throws again, and there is nobody to tell.
int pull_or_tell(const Request& request, const Confinement* confinement, HashFeed& hashes, Outbox& outbox) {
  try {
    pull(request, confinement, hashes, outbox);
    return 0;
  } catch (const Error& error) {
    return tell(outbox, problem_of(error));
  } catch (const std::exception& error) {
    return tell(outbox, {ErrorKind::kFailed, error.what(), ""});
  }
}

}  // namespace

void pull_and_exit(const Request& request, const Confinement* confinement, DeadlineSource& source,
                   FrameReader& reader, FrameWriter& writer) {
  source.set_silence_ms(request.silence_ms);
  HashFeed hashes;
  Outbox outbox(writer, hashes, request.key, request.memory_bytes, request.compression_level);
  ClientWatch watch(source, reader);
  watch.start({.take =
                   [&](const Frame& frame) {
                     if (frame.type != MessageType::kHashes) return false;
                     hashes.add(decode_hashes(frame.body));
                     return true;
                   },
               .gone =
                   [&](const Error& why) {
                     hashes.fail(std::make_exception_ptr(why));
                     if (why.kind() == ErrorKind::kCancelled) outbox.fail(std::make_exception_ptr(why));
                   },
               // So that the client knows a long step from a dead link.
               .tick = [&] { writer.try_write(MessageType::kAlive); }});
  int status = 1;
  try {
    status = pull_or_tell(request, confinement, hashes, outbox);
  } catch (const std::exception&) {
  }
  // Not by returning: two other threads use what lives here, and one may be stuck in a write to a dead link.
  _exit(status);
}

}  // namespace litepull
