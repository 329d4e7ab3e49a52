// Copies one pinned database, page by page in file order, into the outbox.
//
// sqlite3_backup (https://sqlite.org/backup.html) copies inside the pinned read transaction, in steps of a
// block, into a destination that hands its pages on (agent/backup_sink.h). A backup gives page 1 new
// counters. So page 1 is read from the pinned source, with sqlite_dbpage (https://sqlite.org/dbpage.html),
// and goes out first. The copy is then byte for byte the source as a checkpoint would leave it, in file
// order. The backup's own page 1 must equal it but for those counters.
#pragma once

#include <memory>
#include <span>

#include "agent/outbox.h"
#include "agent/source_database.h"

namespace litepull {

// How long read transactions may wait for the network.
struct HoldPolicy {
  std::uint64_t hold_max_us = 0;           // of a WAL database; a rollback-journal database never waits
  std::uint64_t wal_growth_max_bytes = 0;  // past this a WAL database does not wait either
};

// Reads all pages inside the read transaction and releases it as soon as they are out of the database: on the
// wire, in memory or spooled. The pages are those that SQLite sees, WAL included; the result's digest is of
// the file that they make, with `key`, and so is its state. `pinned` are the databases that were not copied
// yet, `database` among them, null where one has failed: while one is being copied the WAL databases are held
// as well, and when any of them reaches its bound, nothing waits for the network any more: what is left is
// spooled. Where there is no room for that, it waits past `hold_max_us`, since nobody waits for the reader of
// a WAL. Throws Error when a page cannot be read, and kRefused when without a spool writers would have to
// wait, or a WAL has reached its growth; the database is released then, too.
DatabaseEnd copy_database(SourceDatabase& database, std::uint32_t index,
                          std::span<const std::unique_ptr<SourceDatabase>> pinned, const HoldPolicy& policy,
                          const DigestKey& key, Outbox& outbox);

}  // namespace litepull
