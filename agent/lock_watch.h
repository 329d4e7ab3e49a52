// Holds a read lock to its word. While we have one, nobody writes what we read: not into the file of a
// rollback-mode database, not over the log that a WAL database's reader goes by. An app whose locks and ours
// do not meet (vfs=unix-dotfile, nolock=1, a foreign file system) does, and the copy is torn. So what a
// writer would change is looked at when the read begins and when it ends.
//
// Nothing here opens the database's file: closing it would give up this process's locks.
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
  // `reader` is inside a transaction in which it has read. Both must outlive this. Costs two system calls,
  // since it is made while writers may wait.
  LockWatch(sqlite3* reader, const Candidate& candidate, JournalMode mode);

  // Before the pages are read, all but the first: what was read earlier is forgotten. In rollback mode it may
  // wait for 10 ms, so that every later write shows in the file's times. Throws as require_still.
  void begin();

  // After the last page was read, still inside the transaction. Throws Error{kRefused} when somebody has
  // written who may not have.
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
  Bytes header() const;  // as it is in the file now
  sqlite3_file* file() const;

  sqlite3* reader_;
  const Candidate& candidate_;
  const JournalMode mode_;
  Look first_;
  std::int64_t taken_ns_ = 0;
  Bytes header_;  // since begin()
  // WAL mode:
  bool reads_log_ = false;         // then it may not begin anew
  bool reads_file_alone_ = false;  // then no checkpoint may write to it
  std::uint32_t last_frame_ = 0;   // that the transaction sees
  std::uint8_t salts_[8] = {};     // of the log, https://sqlite.org/fileformat2.html#walformat
};

// What is the matter when locks do not meet; `sign` is what was seen.
Error locks_do_not_meet(const std::string& sign);

}  // namespace litepull
