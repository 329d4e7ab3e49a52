#include "agent/guard_vfs.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>

#include "agent/beneath.h"
#include "common/disk.h"
#include "common/error.h"

namespace litepull {
namespace {

int refuse_write(sqlite3_file*, const void*, int, sqlite3_int64) {
  return SQLITE_READONLY;
}
int refuse_truncate(sqlite3_file*, sqlite3_int64) {
  return SQLITE_READONLY;
}

// On a full disk SQLite would create the WAL, fail to create the shared memory, and leave both behind.
bool has_room_for_sidecars() {
  constexpr std::uint64_t kSidecarBytes = 128 * 1024;
  const std::optional<DiskSpace> disk = disk_space(".");
  return !disk || disk->free_bytes >= kSidecarBytes;
}

bool has_index(const sqlite3_io_methods* methods) {
  return methods->iVersion >= 2 && methods->xShmMap != nullptr && methods->xShmUnmap != nullptr;
}

// Where the extension of an open file begins.
std::size_t extension_offset() {
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  static const std::size_t kOffset =
      (static_cast<std::size_t>(sqlite3_vfs_find(nullptr)->szOsFile) + kAlign - 1) / kAlign * kAlign;
  return kOffset;
}

}  // namespace

ReadAhead::ReadAhead(sqlite3* connection) {
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file_);
  if (file_ != nullptr) GuardVfs::extension(file_).ahead = this;
}

ReadAhead::~ReadAhead() {
  if (file_ != nullptr) GuardVfs::extension(file_).ahead = nullptr;
}

// Pages that are in the WAL are skipped. SQLite itself does every read that does not go forward. It also does
// every read after a first failure, because a bad sector must not be tried again for each page before it.
bool ReadAhead::read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  if (failed_ || size > kBytes || offset < begin_) return false;
  if (offset + size > begin_ + filled_) {
    sqlite3_int64 file_size = 0;
    if (file->pMethods->xFileSize(file, &file_size) != SQLITE_OK || offset + size > file_size) return false;
    filled_ = 0;
    const int wanted = static_cast<int>(std::min<sqlite3_int64>(kBytes, file_size - offset));
    failed_ = GuardVfs::extension(file).read(file, buffer_.data(), wanted, offset) != SQLITE_OK;
    if (failed_) return false;
    begin_ = offset;
    filled_ = wanted;
  }
  std::memcpy(out, buffer_.data() + (offset - begin_), static_cast<std::size_t>(size));
  return true;
}

bool read_file_header(sqlite3* connection, FileHeader& header) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file != nullptr && file->pMethods != nullptr &&
         GuardVfs::read_file_itself(file, header.data(), static_cast<int>(header.size()), 0) == SQLITE_OK;
}

GuardVfs::Extension& GuardVfs::extension(sqlite3_file* file) {
  return *std::launder(
      reinterpret_cast<Extension*>(reinterpret_cast<std::uint8_t*>(file) + extension_offset()));
}

int GuardVfs::read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const Extension& own = extension(file);
  if (own.ahead != nullptr && own.ahead->read(file, out, size, offset)) return SQLITE_OK;
  return own.read(file, out, size, offset);
}

int GuardVfs::map_index(sqlite3_file* file, int region, int bytes, int extend, void volatile** out) {
  Extension& own = extension(file);
  const int result = own.map_index(file, region, bytes, extend, out);
  const auto at = static_cast<std::size_t>(region);
  if (result == SQLITE_OK && *out != nullptr && at < own.index.size())
    own.index[at] = {const_cast<void*>(*out), static_cast<std::size_t>(bytes)};
  return result;
}

int GuardVfs::unmap_index(sqlite3_file* file, int remove) {
  Extension& own = extension(file);
  own.index = {};
  return own.unmap_index(file, remove);
}

void GuardVfs::let_go_of_index(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr) return;
  for (const Region& region : extension(file).index)
    if (region.begin != nullptr) madvise(region.begin, region.bytes, MADV_DONTNEED);
}

int GuardVfs::read_file_itself(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const auto own = file->pMethods->xRead == read ? extension(file).read : file->pMethods->xRead;
  return own(file, out, size, offset);
}

GuardVfs::GuardVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.zName = kName;
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(extension_offset() + sizeof(Extension));
  vfs_.pAppData = this;
  vfs_.xOpen = open;
  vfs_.xDelete = remove;
  vfs_.xFullPathname = full_path;
  invariant(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK, "the guard VFS could not be registered");
  keep_sqlite_beneath();
}

const sqlite3_io_methods* GuardVfs::guarded(const sqlite3_io_methods* real) {
  auto [found, added] = methods_.try_emplace(real, *real);
  if (added) {
    found->second.xRead = read;
    found->second.xWrite = refuse_write;
    found->second.xTruncate = refuse_truncate;
    if (has_index(real)) {
      found->second.xShmMap = map_index;
      found->second.xShmUnmap = unmap_index;
    }
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
  if (result == SQLITE_OK) {
    auto* own = new (reinterpret_cast<std::uint8_t*>(file) + extension_offset()) Extension;
    own->read = file->pMethods->xRead;
    if (has_index(file->pMethods)) {
      own->map_index = file->pMethods->xShmMap;
      own->unmap_index = file->pMethods->xShmUnmap;
    }
    file->pMethods = self->guarded(file->pMethods);
  }
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
