// The VFS through which the agent opens every database: SQLite's own, except that nothing can be written.
// Locks and the shared-memory index work as ever; writing or truncating a database, WAL or journal, creating
// a journal and deleting a file are refused below SQLite. So no hot journal is rolled back, nothing is
// checkpointed and no journal mode changes, whatever SQLite finds
// (https://sqlite.org/lockingv3.html#rollback).
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "agent/database_header.h"
#include "common/file_buffer.h"

namespace litepull {

// Reads a database file ahead, while one connection goes through it from its first page to its last inside a
// read transaction: a system call for every kBytes in place of one for every page. What was read ahead stays
// right, since a transaction's pages in the file change neither in WAL mode (a checkpoint stops where a
// reader is) nor with a rollback journal (a reader keeps writers out).
class ReadAhead {
 public:
  // `connection` must have been opened through a GuardVfs and outlive this; no other transaction may begin on
  // it meanwhile.
  explicit ReadAhead(sqlite3* connection);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  static constexpr int kBytes = 256 * 1024;

 private:
  friend class GuardVfs;
  // False when this read is SQLite's own to do.
  bool read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);

  sqlite3_file* file_ = nullptr;
  FileBuffer buffer_{kBytes};
  sqlite3_int64 begin_ = 0;  // of the buffer, in the file
  int filled_ = 0;
  bool failed_ = false;
};

using FileHeader = std::array<std::uint8_t, kDatabaseHeaderBytes>;

// The first bytes of a connection's database file, without its WAL; false when they cannot be had. To be
// called inside a read transaction.
bool read_file_header(sqlite3* connection, FileHeader& header);

// Registered while it lives; outlives every connection opened through it. One thread.
class GuardVfs {
 public:
  GuardVfs();
  ~GuardVfs();
  GuardVfs(const GuardVfs&) = delete;
  GuardVfs& operator=(const GuardVfs&) = delete;

  static constexpr const char* kName = "litepull-guard";

  // As it is now: past what was read ahead. `file` is of any VFS; SQLite's result.
  static int read_file_itself(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);

  // Lets SQLite remove `database_path`-wal when the last connection closes: only for one that our own
  // opening created.
  void allow_wal_removal(const std::string& database_path) { removable_.insert(database_path + "-wal"); }

  // The kernel maps all 32 KiB of a WAL's index where one word of it is read. Of a thousand databases that
  // is more than all else that is kept of them. What is let go of here comes back when it is read again, and
  // nothing is changed in the file.
  static void let_go_of_index(sqlite3* connection);

 private:
  friend class ReadAhead;

  struct Region {
    void* begin = nullptr;
    std::size_t bytes = 0;
  };

  // What we keep behind SQLite's own part of an open file.
  struct Extension {
    int (*read)(sqlite3_file*, void*, int, sqlite3_int64) = nullptr;  // SQLite's own
    ReadAhead* ahead = nullptr;
    int (*map_index)(sqlite3_file*, int, int, int, void volatile**) = nullptr;  // SQLite's own
    int (*unmap_index)(sqlite3_file*, int) = nullptr;                           // SQLite's own
    std::array<Region, 4> index{};  // of a WAL's, as far as they are mapped; a longer one's end is left alone
  };
  static Extension& extension(sqlite3_file* file);
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);
  static int map_index(sqlite3_file* file, int region, int bytes, int extend, void volatile** out);
  static int unmap_index(sqlite3_file* file, int remove);

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
