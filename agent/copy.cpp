#include "agent/copy.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/guard_vfs.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kBlockBytes = kMaxBatchBytes;
constexpr int kWaitMs = 100;  // between looks at the hold policy

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
    Statement pages(database_.reader(), "SELECT data FROM sqlite_dbpage('main')");
    while (pages.step()) add(pages.blob());
    if (!block_.raw.empty()) ship();
    if (next_page_ - 1 != database_.page_count())
      throw Error(ErrorKind::kCorrupt, "it has fewer pages than its header says");
    return end();
  }

 private:
  void add(ByteView page) {
    check(page.size() == database_.page_size(), "a page of another size");
    block_.raw.insert(block_.raw.end(), page.begin(), page.end());
    ++next_page_;
    if (block_.raw.size() + page.size() > kBlockBytes) ship();
  }

  void start_block() {
    block_ = PageBlock{index_, next_page_, database_.page_size(), 0, {}};
    const std::uint64_t left =
        std::uint64_t{database_.page_size()} * (database_.page_count() + 1 - next_page_);
    block_.raw.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, left)));
  }

  void ship() {
    digest_.add(block_.raw);
    block_.bytes = block_.raw.size();
    while (!outbox_.push(block_, may_wait() ? kWaitMs : 0)) {
      if (may_wait() || !spool_has_room()) continue;
      spooled_bytes_ += block_.bytes;
      outbox_.push_spooled(std::move(block_));
      break;
    }
    start_block();
  }

  bool may_wait() const {
    return std::all_of(pinned_.begin(), pinned_.end(),
                       [&](const auto& database) { return within_bounds(*database); });
  }

  // Of those in rollback-journal mode only the one that is being read is this thread's (agent/hold_watch.h).
  bool within_bounds(const SourceDatabase& database) const {
    if (database.journal_mode() == JournalMode::kRollback) return &database != &database_;
    if (!database.pinned()) return true;
    const std::uint64_t wal_bytes = database.wal_bytes();
    const std::uint64_t wal_growth = wal_bytes - std::min(wal_bytes, database.wal_bytes_at_pin());
    // Nobody waits for a reader of a WAL. Without a spool it may last, as long as the log does not grow by
    // much.
    const bool may_last = no_spool_ || monotonic_us() - database.pinned_since_us() < policy_.hold_max_us;
    return may_last && wal_growth < policy_.wal_growth_max_bytes;
  }

  // Asked for all that is left, once: a spool that turns out too small after half of a database helps nobody.
  bool spool_has_room() {
    if (spool_reserved_) return true;
    const std::uint64_t left =
        std::uint64_t{database_.page_size()} * (database_.page_count() - next_page_ + 1);
    spool_reserved_ = outbox_.reserve_spool(left + block_.raw.size());
    if (spool_reserved_) return true;
    no_spool_ = true;
    if (!may_wait()) refuse_to_wait(left);
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
  std::uint32_t next_page_ = 1;  // the next to be read
  bool spool_reserved_ = false;
  bool no_spool_ = false;  // the server has no room for one
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
    const Problem problem = describe(error, "./" + database.name());
    throw Error(problem.kind, problem.message, problem.hint);
  }
  end.hold_us = database.hold_us();
  return end;
}

}  // namespace litepull
