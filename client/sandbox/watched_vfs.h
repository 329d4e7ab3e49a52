// A VFS for work that a parent watches. It reports every read, write and flush that has ended, and the steps
// of SQLite's virtual machine. So a check that makes progress may take as long as it needs. Paths are taken
// as they are: SQLite's own layer has room for 512 bytes, and follows links to find out how long a path
// really is (unixFullPathname in its os_unix.c).
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <functional>
#include <map>
#include <string>

namespace litepull {

// It is registered while it lives. The databases that it opened must be closed before that ends. For one
// thread.
class WatchedVfs {
 public:
  // `progress` is called often, so it must be cheap. It may be empty.
  explicit WatchedVfs(std::function<void()> progress);
  ~WatchedVfs();
  WatchedVfs(const WatchedVfs&) = delete;
  WatchedVfs& operator=(const WatchedVfs&) = delete;

  // `name` is an absolute path, or a URI of one, as `flags` say. Throws SQLite::Exception.
  SQLite::Database open(const std::string& name, int flags);

  // When this process has used so many more seconds of processor time, statements end with SQLITE_INTERRUPT.
  void interrupt_after(double cpu_seconds);

 private:
  static int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);
  static int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out);
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset);
  static int sync(sqlite3_file* file, int flags);
  static int step(void* self);

  struct Extension {  // lies behind the data of SQLite's own layer for an open file
    const sqlite3_io_methods* real;
    WatchedVfs* vfs;
  };
  static Extension& extension(sqlite3_file* file);
  const sqlite3_io_methods* watched(const sqlite3_io_methods* real);
  void advance() {
    if (progress_) progress_();
  }

  std::function<void()> progress_;
  double interrupt_at_ = 0;  // in seconds of this process's processor time; 0 for never
  std::string name_;
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_;
};

}  // namespace litepull
