#include "agent/write_vfs.h"

#include <sqlite3.h>

#include <cstdio>
#include <string_view>

#include "agent/beneath.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kWriteVfsName = "litepull-write";

int open_no_super_journal(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_SUPER_JOURNAL) != 0) return SQLITE_CANTOPEN;
  sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
  return real->xOpen(real, name, file, flags, out_flags);
}

int remove_beneath(sqlite3_vfs*, const char* name, int sync_directory) {
  if (!std::string_view(name).starts_with("./")) return SQLITE_IOERR_DELETE;
  sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
  return real->xDelete(real, name, sync_directory);
}

int take_name_as_it_is(sqlite3_vfs*, const char* name, int size, char* out) {
  return std::snprintf(out, static_cast<std::size_t>(size), "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

sqlite3_vfs write_vfs() {
  sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);
  vfs.xOpen = open_no_super_journal;
  vfs.xDelete = remove_beneath;
  vfs.xFullPathname = take_name_as_it_is;
  vfs.zName = kWriteVfsName;
  vfs.pNext = nullptr;
  return vfs;
}

}  // namespace

const char* register_write_vfs() {
  static sqlite3_vfs vfs = write_vfs();
  invariant(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK, "the VFS for writing could not be registered");
  keep_sqlite_beneath();
  return kWriteVfsName;
}

}  // namespace litepull
