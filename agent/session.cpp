#include "agent/session.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
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
#include "agent/look.h"
#include "agent/outbox.h"
#include "agent/owner.h"
#include "agent/pin.h"
#include "agent/priority.h"
#include "agent/report.h"
#include "agent/restore_session.h"
#include "agent/source_database.h"
#include "common/error.h"
#include "common/frame.h"
#include "common/heap.h"
#include "common/posix.h"
#include "common/short_name.h"

namespace litepull {
namespace {

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

Frame read_request(FrameReader& reader) {
  Frame frame;
  require_peer(reader.next(frame) &&
                   (frame.type == MessageType::kRequest || frame.type == MessageType::kRestoreRequest ||
                    frame.type == MessageType::kLookRequest),
               "the first message is no request");
  return frame;
}

// Each WAL database takes five descriptors while the set is being pinned.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Fewer turns between this process and sshd than with the usual 64 KiB; no matter where it is no pipe.
void widen_pipe(int fd) {
  constexpr int kPipeBytes = 1 << 20;  // what anybody may ask for (pipe(7))
  fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
}

// The working directory is the app's storage: no place for a core file.
void forbid_core_files() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

Databases open_all(GuardVfs& guard, const std::vector<Candidate>& candidates,
                   std::vector<Unpinned>& left_out) {
  Databases databases;
  for (const Candidate& candidate : candidates) {
    if (candidate.problem) {
      left_out.push_back({candidate.name, *candidate.problem});
      continue;
    }
    try {
      databases.push_back(std::make_unique<SourceDatabase>(guard, candidate));
    } catch (const Error& error) {
      left_out.push_back({candidate.name, problem_of(error)});
    }
  }
  return databases;
}

// The client's copy of a database, when it can be compared page by page.
const Base* base_of(const SourceDatabase& database, const std::vector<Base>& bases) {
  const auto base = std::find_if(bases.begin(), bases.end(), [&](const Base& known) {
    return known.name == database.name() && known.page_size == database.page_size();
  });
  return base == bases.end() ? nullptr : &*base;
}

bool is_unchanged(const SourceDatabase& database, const Base& base, const DigestKey& key) {
  return database.pinned() && base.state != kNoState && base.state == database.state(key) &&
         base.pages == database.page_count();
}

// Rollback-journal databases first, since their writers wait, and of those the ones that are pinned; then the
// small ones, so that a large one does not hold them up; then those that need not be read, and hold nothing.
void sort_for_copying(Databases& databases, const std::vector<Base>& bases, const DigestKey& key) {
  std::sort(databases.begin(), databases.end(), [&](const auto& a, const auto& b) {
    auto rank = [&](const SourceDatabase& d) {
      const Base* base = base_of(d, bases);
      return std::tuple(base != nullptr && is_unchanged(d, *base, key), d.journal_mode(), !d.pinned(),
                        std::uint64_t{d.page_size()} * d.page_count(), d.name());
    };
    return rank(*a) < rank(*b);
  });
}

// What the client has of each database, in their order.
struct Known {
  std::uint32_t pages = 0;  // to compare
  std::uint32_t page_size = 0;
  const Base* unchanged = nullptr;  // nothing needs to be compared
};

// Whatever needs no reading is let go of at once.
std::vector<Known> known_of(const Databases& databases, const std::vector<Base>& bases,
                            const DigestKey& key) {
  std::vector<Known> all;
  for (const auto& database : databases) {
    Known& known = all.emplace_back();
    const Base* base = base_of(*database, bases);
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

// What became of the set once its databases are copied: a rollback-journal database that was not pinned with
// the others, or could not be held until its turn, is pinned in its turn.
class Turns {
 public:
  Turns(Databases& databases, std::vector<Known>& known, HashFeed& hashes, Outbox& outbox)
      : databases_(databases), known_(known), hashes_(hashes), outbox_(outbox) {
    for (const auto& database : databases_)
      if (database->blocks_writers()) watch_.watch(*database);
  }

  // From here on the database is pinned, and this thread's. Throws Error when it cannot be pinned.
  void begin(std::uint32_t index) {
    SourceDatabase& database = *databases_[index];
    watch_.take(database);
    if (!database.pinned() && known_[index].unchanged == nullptr) pin_again(index, database);
    first_us_ = std::min(first_us_, database.pinned_since_us());
    last_us_ = std::max(last_us_, database.pinned_since_us());
  }

  // `set` as it turned out; false when it was as it was announced.
  bool correct(SetInfo& set) const {
    if (later_.empty()) return false;
    set.consistency = Consistency::kPinned;
    set.skew_us = last_us_ - first_us_;
    if (!set.note.empty()) set.note += "; ";
    set.note += names_of_later() + (later_.size() == 1 ? " was" : " were") +
                " pinned in turn, alone, so that no writer had to wait for another database";
    return true;
  }

 private:
  void pin_again(std::uint32_t index, SourceDatabase& database) {
    watch_.let_go_of_all();  // this may wait for a lock
    database.pin();
    refuse_empty(database);
    Known& known = known_[index];
    if (known.pages > database.page_count() || known.page_size != database.page_size()) {
      known.pages = 0;
      hashes_.forgo(index);
    }
    outbox_.send(MessageType::kDatabase, encode(info_of(index, database, known)));
    later_.push_back(database.name());
  }

  std::string names_of_later() const {
    constexpr std::size_t kNamed = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(later_.size(), kNamed); ++i)
      names += (i == 0 ? "" : ", ") + printable(later_[i]);
    if (later_.size() > kNamed) names += " and " + std::to_string(later_.size() - kNamed) + " more";
    return names;
  }

  Databases& databases_;
  std::vector<Known>& known_;
  HashFeed& hashes_;
  Outbox& outbox_;
  HoldWatch watch_;
  std::uint64_t first_us_ = UINT64_MAX, last_us_ = 0;
  std::vector<std::string> later_;
};

void copy_all(Outbox& outbox, Databases& databases, const std::vector<Known>& known, Turns& turns,
              const HoldPolicy& policy, const DigestKey& key) {
  for (std::uint32_t index = 0; index < databases.size(); ++index) {
    // Rollback-journal databases come first; from the first that is none, nobody waits for this thread.
    if (databases[index]->journal_mode() != JournalMode::kRollback) yield_to_the_app();
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

void pull(const Request& request, const Confinement* confinement, HashFeed& hashes, Outbox& outbox) {
  enter_requested(confinement, request.directory);
  Notices notices;
  std::vector<Candidate> candidates = discover(request, notices);
  refuse_other_doors(candidates, Surroundings::look(candidates));
  become_owner(candidates);
  outbox.send(MessageType::kHello, encode(make_hello()));
  for (const Notice& notice : notices) outbox.send(MessageType::kNotice, encode(notice));

  GuardVfs guard;
  std::vector<Unpinned> left_out;
  Databases databases = open_all(guard, candidates, left_out);
  PinResult pinned = pin_set(databases, request.barrier_ms);
  left_out.insert(left_out.end(), pinned.unpinned.begin(), pinned.unpinned.end());
  leave_out_empty(databases, left_out);
  sort_for_copying(databases, request.bases, request.key);
  std::vector<Known> known = known_of(databases, request.bases, request.key);
  return_free_memory();  // of the connections that held the write locks: pages are to have room now
  Turns turns(databases, known, hashes, outbox);
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

[[noreturn]] void pull_and_exit(const Request& request, const Confinement* confinement,
                                DeadlineSource& source, FrameReader& reader, FrameWriter& writer) {
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

// Nothing has been read from the client yet; when it may not have what its login was lent, it is told so.
std::optional<Confinement> confine(const std::optional<std::string>& storage) {
  if (!storage) {
    require_own_rights();
    return std::nullopt;
  }
  std::optional<Confinement> confinement(*storage);
  // What only root can see of this machine has to be seen here.
  confinement->give_up_root();
  return confinement;
}

std::optional<Confinement> confine_or_exit(const std::optional<std::string>& storage, FrameWriter& writer) {
  std::optional<Confinement> confinement;
  if (run_and_tell(writer, [&] { return (confinement = confine(storage)), 0; }) != 0) _exit(1);
  return confinement;
}

}  // namespace

void run_session(int in_fd, int out_fd, const std::optional<std::string>& storage) {
  forbid_core_files();
  allow_many_descriptors();
  widen_pipe(out_fd);
  const std::string greeting = std::string(kAgentGreeting) + "\n";
  write_all(out_fd, greeting.data(), greeting.size(), "the client's stream");

  FdSink sink(out_fd, "the client's stream");
  FrameWriter writer(sink);
  const std::optional<Confinement> confined = confine_or_exit(storage, writer);
  const Confinement* confinement = confined ? &*confined : nullptr;

  DeadlineSource source(in_fd, kDefaultSilenceMs);
  FrameReader reader(source);
  const Frame first = read_request(reader);
  if (first.type == MessageType::kRequest)
    pull_and_exit(decode_request(first.body), confinement, source, reader, writer);
  if (first.type == MessageType::kLookRequest)
    look_and_exit(decode_look_request(first.body), confinement, source, reader, writer);
  restore_and_exit(decode_restore_request(first.body), confinement, source, reader, writer);
}

}  // namespace litepull
