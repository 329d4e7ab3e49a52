#include "agent/guard_vfs.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "common/error.h"

namespace litepull {
namespace {

int refuse_write(sqlite3_file*, const void*, int, sqlite3_int64) {
  return SQLITE_READONLY;
}
int refuse_truncate(sqlite3_file*, sqlite3_int64) {
  return SQLITE_READONLY;
}

// On a full disk SQLite would make the WAL, fail to make the shared memory, and leave both behind.
bool has_room_for_sidecars() {
  constexpr std::uint64_t kSidecarBytes = 128 * 1024;
  struct statvfs disk {};
  return ::statvfs(".", &disk) != 0 || std::uint64_t{disk.f_bavail} * disk.f_frsize >= kSidecarBytes;
}

}  // namespace

GuardVfs::GuardVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.zName = kName;
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xFullPathname = full_path;
  check(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK, "the guard VFS could not be registered");
}

const sqlite3_io_methods* GuardVfs::guarded(const sqlite3_io_methods* real) {
  auto [found, added] = methods_.try_emplace(real, *real);
  if (added) {
    found->second.xWrite = refuse_write;
    found->second.xTruncate = refuse_truncate;
  }
  return &found->second;
}

GuardVfs::~GuardVfs() {
  sqlite3_vfs_unregister(&vfs_);
}

int GuardVfs::open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* self = static_cast<GuardVfs*>(vfs->pAppData);
  if ((flags & SQLITE_OPEN_MAIN_JOURNAL) != 0) flags &= ~SQLITE_OPEN_CREATE;
  if ((flags & SQLITE_OPEN_WAL) != 0 && ::access(name, F_OK) != 0 && !has_room_for_sidecars())
    return SQLITE_FULL;
  const int result = self->real_->xOpen(self->real_, name, file, flags, out_flags);
  if (result == SQLITE_OK) file->pMethods = self->guarded(file->pMethods);
  return result;
}

int GuardVfs::full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  return std::snprintf(out, static_cast<std::size_t>(size), "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

int GuardVfs::remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  auto* self = static_cast<GuardVfs*>(vfs->pAppData);
  if (!self->removable_.contains(name)) return SQLITE_READONLY;
  return self->real_->xDelete(self->real_, name, sync_directory);
}

}  // namespace litepull
