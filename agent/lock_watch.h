// Checks that a read lock is respected. While we have one, no program may write what we read: not the file of
// a rollback-mode database, and not the part of the WAL that a reader uses. But an app whose locks do not
// meet ours (vfs=unix-dotfile, nolock=1, a foreign file system) writes anyway, and then the copy is torn. So
// what a writer would change is looked at when the read begins and when it ends.
//
// Nothing here opens the database's file, because closing it would release this process's locks.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>

#include "agent/discover.h"
#include "common/wire/bytes.h"
#include "common/wire/protocol.h"

namespace litepull {

class LockWatch {
 public:
  // `reader` is inside a transaction in which it has read. Both must outlive this. It makes only two system
  // calls, because writers may be waiting.
  LockWatch(sqlite3* reader, const Candidate& candidate, JournalMode mode);

  // Call it before the pages are read; what was read earlier is dropped, except the first page. In rollback
  // mode it may wait for 10 ms, so that every later write shows in the file's times. Throws like
  // require_still.
  void begin();

  // Call it after the last page was read, still inside the transaction. Throws Error{kRefused} when a program
  // wrote although it may not.
  void require_still() const;

 private:
  struct Look {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0;

    bool operator==(const Look&) const = default;
  };
  Look look() const;
  void take_log_state();
  bool is_writing() const { return sqlite3_txn_state(reader_, "main") == SQLITE_TXN_WRITE; }
  bool file_is_frozen() const { return mode_ == JournalMode::kRollback || reads_file_alone_; }
  void require_frozen_file() const;
  void require_no_foreign_journal() const;
  void require_log() const;
  void wait_for_the_next_tick() const;
  Bytes header() const;  // what the file has now
  sqlite3_file* file() const;

  sqlite3* reader_;
  const Candidate& candidate_;
  const JournalMode mode_;
  Look first_;
  std::int64_t taken_ns_ = 0;
  Bytes header_;  // since begin()
  // For WAL mode:
  bool reads_log_ = false;         // then the WAL may not start over
  bool reads_file_alone_ = false;  // then no checkpoint may write to the file
  std::uint32_t last_frame_ = 0;   // the last one that the transaction sees
  std::uint8_t salts_[8] = {};     // of the WAL, https://sqlite.org/fileformat2.html#walformat
};

// The error for locks that do not meet. `sign` is what was seen.
Error locks_do_not_meet(const std::string& sign);

}  // namespace litepull
