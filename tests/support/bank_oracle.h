// Says whether a copied database is one committed state of the bank that bank_writer writes.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/writer_loop.h"  // read_ack: what to pass as `acknowledged`

namespace litepull::test {

struct BankReport {
  std::string failure;  // empty: a committed state, not older than it may be
  std::int64_t counter = -1;
  std::int64_t ledger_rows = -1;
  std::int64_t accounts = -1;
  std::string journal_mode;
};

// `acknowledged` is the newest commit that the copy must hold: read_ack() before the copy began. The file,
// with a -wal or -journal when there is one, is copied to a scratch directory first: nothing is written
// beside it. A file that SQLite refuses is a failure of the bank, not an exception.
BankReport check_bank(const std::string& database_path, std::uint64_t acknowledged);

}  // namespace litepull::test
