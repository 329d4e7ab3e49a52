// Tells without reading a database that nobody has committed to it since an earlier pull.
//
// What a commit leaves its mark in: the database's file, with its inode, size and times, of which no program
// can set back the one of the last change (ctime); the file's header, with the change counter that a
// rollback-mode commit raises; and the WAL, whose index's header, as the read transaction found it
// (https://sqlite.org/c3ref/snapshot.html), has the number of frames, a checksum of them all and the log's
// salts. A crash of the whole machine can lose a file's times and keep its content, so each boot begins anew.
// A checkpoint changes the file and no content: that costs a pull that reads it.
//
// All that becomes a SourceState by the client's key, so that nobody who writes to the database can steer it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>

#include "agent/discover.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"
#include "common/wire/protocol.h"

namespace litepull {

// All of the marks, one after the other; empty when they say nothing.
using SourceMarks = Bytes;

// kNoState for marks that say nothing.
SourceState state_of(const SourceMarks& marks, const DigestKey& key);

// Looks at the candidate's file before its read transaction begins, and again once it has begun.
class StateProbe {
 public:
  explicit StateProbe(const Candidate& candidate);  // which must outlive this

  // `reader` is inside the transaction, which may have begun some time ago. Empty when the file is not the
  // candidate's any more, was written to meanwhile, or so lately that a further write might leave its times
  // as they are.
  SourceMarks settle(sqlite3* reader, JournalMode mode) const;

 private:
  struct Look {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;

    bool operator==(const Look&) const = default;
  };
  std::optional<Look> look() const;

  const Candidate& candidate_;
  const std::optional<Look> before_;
};

}  // namespace litepull
