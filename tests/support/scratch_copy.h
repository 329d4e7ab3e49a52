// A database copied away with its sidecars, so that opening it changes nothing where it came from.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace litepull::test {

class ScratchCopy {
 public:
  // Copies `path`, `path`-wal and `path`-journal (not -shm, which SQLite rebuilds) and opens the copy.
  explicit ScratchCopy(const std::string& path);

  SQLite::Database& database() { return database_; }
  std::int64_t number(const std::string& query) { return database_.execAndGet(query).getInt64(); }
  std::string text(const std::string& query) { return database_.execAndGet(query).getString(); }

 private:
  TempDir dir_;
  SQLite::Database database_;
};

}  // namespace litepull::test
