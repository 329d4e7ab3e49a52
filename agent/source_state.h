// Tells without reading a database that nobody has committed to it since an earlier pull.
//
// A commit leaves marks in several places. The database's file has an inode, a size and times, and no program
// can set back the time of its last change (ctime). The file's header has the change counter that a
// rollback-mode commit raises. For a WAL, the header of its index, as the read transaction found it
// (https://sqlite.org/c3ref/snapshot.html), has the number of frames, a checksum of them all and the salts of
// the WAL. A crash of the whole machine can lose a file's times and keep its content, so a state is only
// valid until the next boot. A checkpoint changes the file but no content; it costs one pull that reads the
// database.
//
// All marks become a SourceState with the client's key, so that nobody who writes to the database can choose
// the result.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>

#include "agent/discover.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"
#include "common/wire/protocol.h"

namespace litepull {

// All marks, one after the other. Empty when they tell nothing.
using SourceMarks = Bytes;

// kNoState for marks that tell nothing.
SourceState state_of(const SourceMarks& marks, const DigestKey& key);

// Looks at the candidate's file before its read transaction begins, and again once it has begun.
class StateProbe {
 public:
  explicit StateProbe(const Candidate& candidate);  // `candidate` must outlive this

  // `reader` is inside the transaction, which may have begun some time ago. Empty when the file is not the
  // candidate's any more, or was written to meanwhile. Also empty when it was written to so recently that
  // another write might not change its times.
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
