// Copies one pinned database, page by page in file order, into the outbox.
//
// sqlite3_backup (https://sqlite.org/backup.html) copies inside the pinned read transaction, a block at each
// step, into a destination that hands its pages on (agent/backup_sink.h). A backup gives page 1 new counters.
// So page 1 is read from the pinned source with sqlite_dbpage (https://sqlite.org/dbpage.html) and is sent
// first. The copy then equals, byte for byte, the source as a checkpoint would leave it, and its pages come
// in file order. The backup's own page 1 must equal it except for those counters.
#pragma once

#include <memory>
#include <span>

#include "agent/outbox.h"
#include "agent/source_database.h"

namespace litepull {

// How long read transactions may wait for the network.
struct HoldPolicy {
  std::uint64_t hold_max_us = 0;  // for a WAL database; a rollback-journal database never waits
  std::uint64_t wal_growth_max_bytes =
      0;  // when a WAL has grown past this, its database does not wait either
};

// Reads all pages inside the read transaction. Releases the database as soon as they are on the wire, in
// memory or spooled. The pages are those that SQLite sees, with the WAL's changes. The result's digest, with
// `key`, is that of the file that the pages make; its state is that file's too.
//
// `pinned` are the databases that were not copied yet, with `database` among them and null for one that has
// failed. The WAL databases among them stay pinned during this copy. When one of them reaches its bound,
// nothing waits for the network any more and the remaining pages are spooled. Where there is no room for a
// spool, the copy waits past `hold_max_us`, because no writer waits for the reader of a WAL.
//
// Throws Error when a page cannot be read. Throws Error{kRefused} when there is no room for a spool and
// writers would have to wait or a WAL has reached its growth. The database is released in these cases too.
DatabaseEnd copy_database(SourceDatabase& database, std::uint32_t index,
                          std::span<const std::unique_ptr<SourceDatabase>> pinned, const HoldPolicy& policy,
                          const DigestKey& key, Outbox& outbox);

}  // namespace litepull
