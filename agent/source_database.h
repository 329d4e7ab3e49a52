// One database of the server, opened through the guard VFS, and the read transaction that pins it.
//
// Two connections, because a transaction that took the write lock cannot go back to reading: `reader_` is
// pinned and copied from; `locker_` holds the write lock for the moment in which the whole set is pinned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/lock_watch.h"
#include "agent/source_state.h"
#include "agent/sqlite.h"
#include "common/wire/protocol.h"

namespace litepull {

class SourceDatabase {
 public:
  // Opens and probes. Throws Error with the reason and the remedy when `candidate` is no database that can be
  // copied safely. `guard` must outlive this.
  SourceDatabase(GuardVfs& guard, const Candidate& candidate);
  ~SourceDatabase();
  SourceDatabase(const SourceDatabase&) = delete;
  SourceDatabase& operator=(const SourceDatabase&) = delete;

  // Closes it, until it is pinned again or woken: it takes no descriptors and little memory then. What
  // opening or the last pin found is known still; it was a committed state.
  void rest();
  bool is_resting() const { return reader_ == nullptr; }
  void wake();  // throws as the constructor

  const std::string& name() const { return candidate_.name; }
  JournalMode journal_mode() const { return journal_mode_; }

  // The second connection, which try_lock needs. Opened before and closed after, so that neither happens
  // while other databases' writers wait.
  void open_locker();
  void close_locker() { locker_.reset(); }
  // Tries to hold the write lock; nothing is ever written under it. False when another writer has it.
  [[nodiscard]] bool try_lock();
  void unlock() noexcept;

  // Starts the read transaction, or restarts it. pin() waits for a writer that keeps readers out; try_pin()
  // waits for nobody, and is false when one does.
  void pin();
  [[nodiscard]] bool try_pin();
  // The same in two steps, for the moment in which other databases' writers wait: what settle() finds out
  // can be found out later.
  [[nodiscard]] bool start_pin();
  void settle_pin();
  // Ends it. hold_us() then says how long it lasted.
  void release();

  // Of the last pin; before the first, as it was when it was opened:
  std::uint64_t pinned_since_us() const { return pinned_since_us_; }  // monotonic clock
  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t page_count() const { return page_count_; }
  std::uint64_t wal_bytes_at_pin() const { return wal_bytes_at_pin_; }
  SourceState state(const DigestKey& key) const { return state_of(marks_, key); }  // of what is pinned
  std::uint64_t hold_us() const { return hold_us_; }                               // after release
  sqlite3* reader() { return reader_.get(); }

  // While pinned: runs `work`, which reads its pages. Throws what that throws, and Error{kRefused} when
  // somebody wrote who may not have (agent/lock_watch.h): what was read is torn, then, and what failed is no
  // damage.
  template <typename Work>
  void read(Work work) {
    locks_->begin();
    try {
      work();
    } catch (const SqliteError&) {
      locks_->require_still();
      throw;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCorrupt) locks_->require_still();
      throw;
    }
    locks_->require_still();
  }

  bool pinned() const { return pinned_; }
  // Its readers keep writers waiting.
  bool blocks_writers() const { return pinned_ && journal_mode_ == JournalMode::kRollback; }

  std::uint64_t wal_bytes() const;  // size of the -wal file now; 0 without one

 private:
  enum class Busy { kWait, kFailAtOnce };

  void open();
  void probe();
  void require_own_header();
  void close() noexcept;
  void forget_schema();
  void begin(Busy busy);
  std::uint32_t pragma(const char* statement);
  std::uint32_t count_pages();

  GuardVfs* guard_;
  Candidate candidate_;
  bool made_sidecars_ = false;
  JournalMode journal_mode_ = JournalMode::kRollback;
  Connection reader_;
  Connection locker_;
  std::uint64_t busy_since_us_ = 0;
  std::optional<StateProbe> state_probe_;
  bool pinned_ = false;
  std::uint64_t pinned_since_us_ = 0;
  std::uint64_t hold_us_ = 0;
  std::uint32_t page_size_ = 0;
  std::uint32_t page_count_ = 0;
  std::uint64_t wal_bytes_at_pin_ = 0;
  SourceMarks marks_;
  std::optional<LockWatch> locks_;  // while pinned and settled
};

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

}  // namespace litepull
