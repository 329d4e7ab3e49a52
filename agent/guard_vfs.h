// The VFS through which the agent opens every database. It is SQLite's own, except that nothing can be
// written. Locks and the shared-memory index work as usual. Below SQLite these are refused: to write or
// truncate a database, WAL or journal, to create a journal, and to delete a file. So no hot journal is rolled
// back (https://sqlite.org/lockingv3.html#rollback), nothing is checkpointed and no journal mode changes,
// whatever SQLite finds.
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

// Reads a database file ahead while one connection reads it from its first page to its last inside a read
// transaction. It makes one system call for every kBytes and not one for every page. What was read ahead
// stays right, because the pages of a transaction do not change in the file: in WAL mode a checkpoint stops
// where a reader is, and in rollback mode a reader keeps writers out.
class ReadAhead {
 public:
  // `connection` must have been opened through a GuardVfs and must outlive this. No other transaction may
  // begin on it meanwhile.
  explicit ReadAhead(sqlite3* connection);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  static constexpr int kBytes = 256 * 1024;

 private:
  friend class GuardVfs;
  // False when SQLite has to do this read itself.
  bool read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);

  sqlite3_file* file_ = nullptr;
  FileBuffer buffer_{kBytes};
  sqlite3_int64 begin_ = 0;  // of the buffer, in the file
  int filled_ = 0;
  bool failed_ = false;
};

using FileHeader = std::array<std::uint8_t, kDatabaseHeaderBytes>;

// Reads the header from the file of a connection's database, without its WAL. False when it cannot be read.
// Call it inside a read transaction.
bool read_file_header(sqlite3* connection, FileHeader& header);

// It is registered while it lives, and must outlive every connection that is opened through it. For one
// thread.
class GuardVfs {
 public:
  GuardVfs();
  ~GuardVfs();
  GuardVfs(const GuardVfs&) = delete;
  GuardVfs& operator=(const GuardVfs&) = delete;

  static constexpr const char* kName = "litepull-guard";

  // Reads what is in the file now, and nothing that was read ahead. `file` may be of any VFS. Returns
  // SQLite's result.
  static int read_file_itself(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);

  // Lets SQLite remove `database_path`-wal when the last connection closes. Only for a WAL that our own
  // opening created.
  void allow_wal_removal(const std::string& database_path) { removable_.insert(database_path + "-wal"); }

  // Returns the memory of the mapped WAL index to the kernel. The kernel maps all 32 KiB of an index even if
  // only one word is read. With a thousand databases that is more than everything else that is kept of them.
  // The memory comes back when the index is read again, and the file does not change.
  static void let_go_of_index(sqlite3* connection);

 private:
  friend class ReadAhead;

  struct Region {
    void* begin = nullptr;
    std::size_t bytes = 0;
  };

  // Our data of an open file, which lies behind SQLite's own.
  struct Extension {
    int (*read)(sqlite3_file*, void*, int, sqlite3_int64) = nullptr;  // SQLite's own
    ReadAhead* ahead = nullptr;
    int (*map_index)(sqlite3_file*, int, int, int, void volatile**) = nullptr;  // SQLite's own
    int (*unmap_index)(sqlite3_file*, int) = nullptr;                           // SQLite's own
    std::array<Region, 4>
        index{};  // the parts of a WAL's index that are mapped; the end of a longer index stays mapped
  };
  static Extension& extension(sqlite3_file* file);
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);
  static int map_index(sqlite3_file* file, int region, int bytes, int extend, void volatile** out);
  static int unmap_index(sqlite3_file* file, int remove);

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  // Takes the name as it is. SQLite's own VFS would resolve it through directories that we may no longer
  // enter.
  static int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out);
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_directory);

  // Returns `real` with its writing methods replaced. It lives as long as this.
  const sqlite3_io_methods* guarded(const sqlite3_io_methods* real);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_;
  std::set<std::string> removable_;
};

}  // namespace litepull
