#include "agent/copy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/backup_sink.h"
#include "agent/guard_vfs.h"
#include "agent/sqlite_problem.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

constexpr std::size_t kBlockBytes = kMaxBatchBytes;
constexpr int kWaitMs = 100;  // between two looks at the bounds

// A sqlite3_backup from a pinned database, whose transaction stays open.
class Backup {
 public:
  // Both must outlive this.
  Backup(BackupSink& sink, sqlite3* source)
      : sink_(sink), backup_(sqlite3_backup_init(sink.connection(), "main", source, "main")) {
    if (backup_ == nullptr) throw_error(sqlite3_extended_errcode(sink.connection()));
  }
  ~Backup() { sqlite3_backup_finish(backup_); }
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  // Copies `pages` pages. False when all pages are copied.
  [[nodiscard]] bool step(int pages) {
    const int result = sqlite3_backup_step(backup_, pages);
    if (result != SQLITE_OK && result != SQLITE_DONE) throw_error(result);
    return result == SQLITE_OK;
  }

  void finish() {
    const int result = sqlite3_backup_finish(std::exchange(backup_, nullptr));
    if (result != SQLITE_OK) throw_error(result);
  }

 private:
  // An error of the sink comes first, because SQLite only knows that a write failed.
  [[noreturn]] void throw_error(int code) const {
    sink_.rethrow();
    throw SqliteError(code, sqlite3_errstr(code));
  }

  BackupSink& sink_;
  sqlite3_backup* backup_;
};

Bytes read_page_one(SourceDatabase& database) {
  Statement first(database.reader(), "SELECT data FROM sqlite_dbpage('main') WHERE pgno = 1");
  if (!first.step()) throw Error(ErrorKind::kCorrupt, "it has no first page");
  const ByteView page = first.blob();
  return {page.begin(), page.end()};
}

// A backup gives its destination its own counters and its own size
// (https://sqlite.org/fileformat2.html#the_database_header).
void require_same_page(Bytes source, Bytes copy) {
  constexpr std::pair<int, int> kOwn[] = {{24, 28}, {28, 32}, {40, 44}, {92, 100}};
  for (Bytes* page : {&source, &copy})
    for (const auto& [begin, end] : kOwn) std::fill(page->begin() + begin, page->begin() + end, 0);
  if (source != copy)
    throw Error(ErrorKind::kCorrupt, "its first page changed while it was being read",
                "run this again; if it stays so, restart the app");
}

class Copier {
 public:
  Copier(SourceDatabase& database, std::uint32_t index,
         std::span<const std::unique_ptr<SourceDatabase>> pinned, const HoldPolicy& policy,
         const DigestKey& key, Outbox& outbox)
      : database_(database), index_(index), pinned_(pinned), policy_(policy), outbox_(outbox), digest_(key) {
    start_block();
  }

  DatabaseEnd run() {
    execute(database_.reader(), "PRAGMA cache_size=16");  // each page is read once
    const ReadAhead ahead(database_.reader());
    const Bytes first = read_page_one(database_);
    add(first);
    BackupSink sink(database_.page_size(), database_.page_count(), [this](ByteView page) { add(page); });
    Backup backup(sink, database_.reader());
    while (backup.step(pages_to_block_end())) ship_whole_blocks();
    backup.finish();
    sink.finish();
    require_same_page(first, sink.page_one());
    ship_whole_blocks();
    if (!block_.raw.empty()) ship();
    return end();
  }

 private:
  void add(ByteView page) {
    invariant(page.size() == database_.page_size(), "a page of another size");
    block_.raw.insert(block_.raw.end(), page.begin(), page.end());
  }

  int pages_to_block_end() const {
    const std::size_t taken = std::min(block_.raw.size(), kBlockBytes - database_.page_size());
    return static_cast<int>((kBlockBytes - taken) / database_.page_size());
  }

  void start_block() {
    block_ = PageBlock{index_, shipped_pages_ + 1, database_.page_size(), 0, {}};
    block_.raw.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, bytes_left())));
  }

  // Bytes of the pages that were not shipped yet.
  std::uint64_t bytes_left() const {
    return std::uint64_t{database_.page_size()} * (database_.page_count() - shipped_pages_);
  }

  // The last step may give more than a block, because SQLite held some pages back.
  void ship_whole_blocks() {
    while (block_.raw.size() >= kBlockBytes) {
      const Bytes rest(block_.raw.begin() + kBlockBytes, block_.raw.end());
      block_.raw.resize(kBlockBytes);
      ship();
      block_.raw.insert(block_.raw.end(), rest.begin(), rest.end());
    }
  }

  void ship() {
    digest_.add(block_.raw);
    block_.bytes = block_.raw.size();
    const auto pages = static_cast<std::uint32_t>(block_.bytes / database_.page_size());
    while (!outbox_.push(block_, may_wait() ? kWaitMs : 0)) {
      if (may_wait() || !spool_has_room()) continue;
      spooled_bytes_ += block_.bytes;
      outbox_.push_spooled(std::move(block_));
      break;
    }
    shipped_pages_ += pages;
    start_block();
  }

  bool may_wait() const {
    return std::all_of(pinned_.begin(), pinned_.end(),
                       [&](const auto& database) { return database == nullptr || within_bounds(*database); });
  }

  // In rollback-journal mode, only the database that is being read belongs to this thread
  // (agent/hold_watch.h).
  bool within_bounds(const SourceDatabase& database) const {
    if (database.journal_mode() == JournalMode::kRollback) return &database != &database_;
    if (!database.pinned()) return true;
    const std::uint64_t wal_bytes = database.wal_bytes();
    const std::uint64_t wal_growth = wal_bytes - std::min(wal_bytes, database.wal_bytes_at_pin());
    // No writer waits for the reader of a WAL. So without a spool it may take longer, as long as the WAL does
    // not grow by much.
    const bool may_last = no_spool_ || monotonic_us() - database.pinned_since_us() < policy_.hold_max_us;
    return may_last && wal_growth < policy_.wal_growth_max_bytes;
  }

  // Asks once, for everything that is left, because a spool that becomes full after half of a database is of
  // no use.
  bool spool_has_room() {
    if (spool_reserved_) return true;
    spool_reserved_ = outbox_.reserve_spool(bytes_left());
    if (spool_reserved_) return true;
    no_spool_ = true;
    if (!may_wait()) refuse_to_wait(bytes_left());
    return false;
  }

  [[noreturn]] void refuse_to_wait(std::uint64_t left) const {
    const std::string no_room = "the server has no disk with room to spool the " +
                                std::to_string(left >> 20) + " MiB that are left of it";
    if (database_.blocks_writers())
      throw Error(ErrorKind::kRefused, "writers would have to wait for the network: " + no_room,
                  "free some space below /var/tmp on the server, or set PRAGMA journal_mode=WAL in the app");
    throw Error(ErrorKind::kRefused,
                "a WAL grew by WAL_GROWTH_MAX_MB while it waited for the network, and " + no_room,
                "free some space below /var/tmp on the server, or raise WAL_GROWTH_MAX_MB");
  }

  DatabaseEnd end() {
    DatabaseEnd end;
    end.database = index_;
    end.page_count = database_.page_count();
    end.digest = digest_.result();
    end.spooled_bytes = spooled_bytes_;
    return end;
  }

  SourceDatabase& database_;
  const std::uint32_t index_;
  const std::span<const std::unique_ptr<SourceDatabase>> pinned_;
  const HoldPolicy& policy_;
  Outbox& outbox_;
  StreamingDigest digest_;
  PageBlock block_;
  std::uint32_t shipped_pages_ = 0;
  bool spool_reserved_ = false;
  bool no_spool_ = false;  // the server has no room for a spool
  std::uint64_t spooled_bytes_ = 0;
};

}  // namespace

DatabaseEnd copy_database(SourceDatabase& database, std::uint32_t index,
                          std::span<const std::unique_ptr<SourceDatabase>> pinned, const HoldPolicy& policy,
                          const DigestKey& key, Outbox& outbox) {
  DatabaseEnd end;
  try {
    database.read([&] { end = Copier(database, index, pinned, policy, key, outbox).run(); });
    end.wal_bytes = database.wal_bytes();
    end.state = database.state(key);
    database.release();
  } catch (const SqliteError& error) {
    throw Error(problem_of(error, "./" + database.name()));
  }
  end.hold_us = database.hold_us();
  return end;
}

}  // namespace litepull
