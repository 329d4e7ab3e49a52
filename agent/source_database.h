// One database of the server, opened through the guard VFS, and the read transaction that pins it.
//
// It has two connections, because a transaction that took the write lock cannot go back to reading. `reader_`
// is pinned and copied from. `locker_` holds the write lock for the moment in which the whole set is pinned.
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
  // Opens and probes the database. Throws Error with the reason and the remedy when `candidate` is no
  // database that can be copied safely. `guard` must outlive this.
  SourceDatabase(GuardVfs& guard, const Candidate& candidate);
  ~SourceDatabase();
  SourceDatabase(const SourceDatabase&) = delete;
  SourceDatabase& operator=(const SourceDatabase&) = delete;

  // Closes the database until it is pinned again or woken. It then takes no descriptors and little memory.
  // What opening or the last pin found stays known; it was a committed state.
  void rest();
  bool is_resting() const { return reader_ == nullptr; }
  void wake();  // throws like the constructor

  const std::string& name() const { return candidate_.name; }
  JournalMode journal_mode() const { return journal_mode_; }

  // The second connection, which try_lock needs. It is opened before and closed after the lock is taken, so
  // that neither happens while writers of other databases wait.
  void open_locker();
  void close_locker() { locker_.reset(); }
  // Tries to take the write lock. Nothing is ever written under it. False when another writer has it.
  [[nodiscard]] bool try_lock();
  void unlock() noexcept;

  // Starts the read transaction, or starts it again. pin() waits for a writer that keeps readers out.
  // try_pin() does not wait and returns false then.
  void pin();
  [[nodiscard]] bool try_pin();
  // The same in two steps, for the moment in which the writers of other databases wait. settle_pin() does
  // what can be done later.
  [[nodiscard]] bool start_pin();
  void settle_pin();
  // Ends the read transaction. hold_us() then says how long it lasted.
  void release();

  // These are as of the last pin, or as of the opening before the first pin.
  std::uint64_t pinned_since_us() const { return pinned_since_us_; }  // monotonic clock
  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t page_count() const { return page_count_; }
  std::uint64_t wal_bytes_at_pin() const { return wal_bytes_at_pin_; }
  SourceState state(const DigestKey& key) const { return state_of(marks_, key); }  // of the pinned content
  std::uint64_t hold_us() const { return hold_us_; }                               // valid after release()
  sqlite3* reader() { return reader_.get(); }

  // Runs `work`, which reads pages of the pinned database. Throws what `work` throws. Throws Error{kRefused}
  // when another program wrote although it may not (agent/lock_watch.h): then what was read is torn, and an
  // error of `work` is no sign of damage.
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
  // True when its readers block writers.
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
  std::optional<LockWatch> locks_;  // set while pinned and settled
};

using Databases = std::vector<std::unique_ptr<SourceDatabase>>;

}  // namespace litepull
