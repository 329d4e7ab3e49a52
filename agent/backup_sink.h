// The destination of sqlite3_backup. It is a file that does not exist: its pages are handed on in file order
// as SQLite writes them, and none is kept.
//
// With no journal, no syncs and a small cache, SQLite writes each page of a backup's destination once, in
// ascending order. Only page 1 may come at any time, because SQLite holds it until the commit. SQLite does
// not write the lock-byte page (https://sqlite.org/fileformat2.html#the_lock_byte_page); zeros are handed on
// for it. Any other order is an error and never becomes a copy with pages out of order.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <exception>
#include <functional>

#include "agent/sqlite.h"
#include "common/wire/bytes.h"

namespace litepull {

class BackupSink {
 public:
  // Gets the pages 2, 3, ... of a backup. The bytes are valid during the call.
  using TakePage = std::function<void(ByteView)>;

  // A process may have one at a time, because it is registered as a VFS while it lives. `page_size` is in
  // bytes.
  BackupSink(std::uint32_t page_size, std::uint32_t page_count, TakePage take);
  BackupSink(const BackupSink&) = delete;
  BackupSink& operator=(const BackupSink&) = delete;

  // The destination for sqlite3_backup_init.
  sqlite3* connection() { return connection_.get(); }
  // Call it after the last step. Hands on the pages that SQLite never writes. Throws what `take` threw, and
  // Error when pages are missing.
  void finish();
  // Throws what `take` threw; does nothing when it did not throw.
  void rethrow() const;
  // Page 1 as the backup has written it, with counters of its own. Empty before that.
  const Bytes& page_one() const { return page_one_; }

 private:
  struct File;

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset);
  static int size(sqlite3_file* file, sqlite3_int64* size);
  static const sqlite3_io_methods kMethods;

  void add(std::uint32_t number, ByteView page);
  void add_lock_byte_page();

  // Registers the VFS while it lives, also when opening the connection throws.
  class Registration {
   public:
    explicit Registration(sqlite3_vfs& vfs);
    ~Registration() { sqlite3_vfs_unregister(&vfs_); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

   private:
    sqlite3_vfs& vfs_;
  };

  static sqlite3_vfs make_vfs(BackupSink* sink);

  sqlite3_vfs vfs_;
  const Registration registration_;
  const std::uint32_t page_size_;
  const std::uint32_t page_count_;
  const std::uint32_t lock_byte_page_;
  const TakePage take_;
  std::uint32_t next_page_ = 2;
  sqlite3_int64 size_bytes_ = 0;  // of the file, if it existed
  Bytes page_one_;
  std::exception_ptr failure_;
  Connection connection_;
};

}  // namespace litepull
