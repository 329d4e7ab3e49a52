// The VFS through which the agent opens every database: SQLite's own, except that nothing can be written.
// Locks and the shared-memory index work as ever; writing or truncating a database, WAL or journal, creating
// a journal and deleting a file are refused below SQLite. So no hot journal is rolled back, nothing is
// checkpointed and no journal mode changes, whatever SQLite finds
// (https://sqlite.org/lockingv3.html#rollback).
#pragma once

#include <sqlite3.h>

#include <map>
#include <set>
#include <string>

namespace litepull {

// Registered while it lives; outlives every connection opened through it. One thread.
class GuardVfs {
 public:
  GuardVfs();
  ~GuardVfs();
  GuardVfs(const GuardVfs&) = delete;
  GuardVfs& operator=(const GuardVfs&) = delete;

  static constexpr const char* kName = "litepull-guard";

  // Lets SQLite remove `database_path`-wal when the last connection closes: only for one that our own
  // opening created.
  void allow_wal_removal(const std::string& database_path) { removable_.insert(database_path + "-wal"); }

 private:
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  // The name as it is: SQLite's own would resolve it through directories that we may no longer cross.
  static int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out);
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_directory);

  // `real` with the writing methods replaced; lives as long as this.
  const sqlite3_io_methods* guarded(const sqlite3_io_methods* real);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_;
  std::set<std::string> removable_;
};

}  // namespace litepull
