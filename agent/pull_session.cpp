#include "agent/pull_session.h"

#include <unistd.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "agent/copy.h"
#include "agent/discover.h"
#include "agent/doors.h"
#include "agent/guard_vfs.h"
#include "agent/hash_feed.h"
#include "agent/known.h"
#include "agent/outbox.h"
#include "agent/owner.h"
#include "agent/pin.h"
#include "agent/priority.h"
#include "agent/report.h"
#include "agent/source_database.h"
#include "agent/turns.h"
#include "agent/unmatched.h"
#include "common/error.h"
#include "common/heap.h"
#include "common/short_name.h"

namespace litepull {
namespace {

// Where the databases are pinned `in_turns`, each rests as soon as it was read; else all stay open.
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
      left_out.push_back({candidate.name, error.problem()});
    }
  }
  return databases;
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

// Reports in steps, because the client copies its own pages in step with them.
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

void copy_all(Outbox& outbox, Databases& databases, const std::vector<Known>& known, Turns& turns,
              const HoldPolicy& policy, const DigestKey& key) {
  for (std::uint32_t index = 0; index < databases.size(); ++index) {
    // Rollback-journal databases come first. After them no writer waits for this thread.
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
      outbox.send_failed({index, error.problem()});
    }
    databases[index].reset();  // closes it, so that only the app has its locks and files
  }
}

// A database whose schema was deleted may have no pages.
void leave_out_empty(Databases& databases, std::vector<Unpinned>& left_out) {
  std::erase_if(databases, [&](const auto& database) {
    try {
      refuse_empty(*database);
      return false;
    } catch (const Error& error) {
      left_out.push_back({database->name(), error.problem()});
      return true;
    }
  });
}

std::uint64_t wal_bytes_of(const Databases& databases) {
  std::uint64_t bytes = 0;
  for (const auto& database : databases) bytes += database->wal_bytes_at_pin();
  return bytes;
}

// Everything that is found and decided before SQLite opens a file.
std::vector<Candidate> find(const Request& request, const Confinement* confinement, Outbox& outbox) {
  enter_requested(confinement, request.directory);
  Notices notices;
  std::vector<Candidate> candidates = discover(request, notices);
  refuse_other_doors(candidates, Surroundings::look(candidates));
  become_owner(candidates);
  const Unmatched unmatched = find_unmatched(request);  // no lock can be lost yet by opening files
  outbox.send(MessageType::kHello, encode(make_hello()));
  for (const Notice& notice : notices) outbox.send(MessageType::kNotice, encode(notice));
  if (unmatched.worth_telling()) outbox.send(MessageType::kUnmatched, encode(unmatched));
  return candidates;
}

// The databases of one pull, as far as they could be opened and pinned.
struct OpenSet {
  Databases databases;
  std::vector<Unpinned> left_out;
  SetInfo set;
};

OpenSet open_and_pin(GuardVfs& guard, const std::vector<Candidate>& candidates, const TurnSize& size,
                     std::uint32_t barrier_ms) {
  OpenSet open;
  open.databases = open_all(guard, candidates, size.in_turns, open.left_out);
  PinResult pinned = size.in_turns ? pin_later(open.databases, size) : pin_set(open.databases, barrier_ms);
  open.set = std::move(pinned.set);
  open.left_out.insert(open.left_out.end(), pinned.unpinned.begin(), pinned.unpinned.end());
  leave_out_empty(open.databases, open.left_out);
  return open;
}

HoldPolicy hold_policy(const Request& request, const Confinement* confinement, const Databases& databases) {
  HoldPolicy policy{std::uint64_t{1000} * request.hold_max_ms, request.wal_growth_max_bytes};
  if (confinement != nullptr)
    policy.wal_growth_max_bytes =
        confinement->bounded_wal_growth(request.wal_growth_max_bytes, wal_bytes_of(databases));
  return policy;
}

void pull(const Request& request, const Confinement* confinement, HashFeed& hashes, Outbox& outbox) {
  const std::vector<Candidate> candidates = find(request, confinement, outbox);
  GuardVfs guard;
  const TurnSize size = turn_size(candidates.size());
  auto [databases, left_out, set] = open_and_pin(guard, candidates, size, request.barrier_ms);
  const Bases bases(request.bases);
  sort_for_copying(databases, bases, request.key, size.together());
  std::vector<Known> known = known_of(databases, bases, request.key);
  return_free_memory();  // the connections that held the write locks had it; pages need the room now
  Turns turns(databases, known, hashes, outbox, request.barrier_ms, size.group);
  announce(outbox, hashes, databases, known, left_out, set);
  copy_all(outbox, databases, known, turns, hold_policy(request, confinement, databases), request.key);
  if (turns.correct(set)) outbox.send(MessageType::kSet, encode(set));
  outbox.send(MessageType::kDone, encode(make_done()));
  outbox.flush();
}

int tell(Outbox& outbox, const Problem& problem) {
  outbox.send(MessageType::kError, encode(problem));
  outbox.flush();
  return 1;
}

// Throws when the client is gone and so cannot be told.
int pull_or_tell(const Request& request, const Confinement* confinement, HashFeed& hashes, Outbox& outbox) {
  try {
    pull(request, confinement, hashes, outbox);
    return 0;
  } catch (const Error& error) {
    return tell(outbox, error.problem());
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
               // A long step must not look like a dead link to the client.
               .tick = [&] { writer.try_write(MessageType::kAlive); }});
  int status = 1;
  try {
    status = pull_or_tell(request, confinement, hashes, outbox);
  } catch (const std::exception&) {
    // Nobody is left to hear it.
  }
  // Returning would destroy what two other threads use, one of which may be stuck in a write to a dead link.
  _exit(status);
}

}  // namespace litepull
