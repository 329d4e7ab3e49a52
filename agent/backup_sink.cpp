#include "agent/backup_sink.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "agent/database_header.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kName = "litepull-sink";

int succeed(sqlite3_file*) {
  return SQLITE_OK;
}
int succeed(sqlite3_file*, int) {
  return SQLITE_OK;
}
int truncate(sqlite3_file*, sqlite3_int64) {
  return SQLITE_OK;  // nothing was there before, so it has this size already
}
int check_reserved(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int control(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int sector_size(sqlite3_file*) {
  return 512;
}
int characteristics(sqlite3_file*) {
  return 0;
}
int remove(sqlite3_vfs*, const char*, int) {
  return SQLITE_OK;
}
int tell_access(sqlite3_vfs*, const char*, int, int* there) {
  *there = 0;
  return SQLITE_OK;
}
int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  return std::snprintf(out, static_cast<std::size_t>(size), "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

}  // namespace

struct BackupSink::File {
  sqlite3_file base;  // first: SQLite's view of it
  BackupSink* sink;
};

const sqlite3_io_methods BackupSink::kMethods = {
    .iVersion = 1,
    .xClose = succeed,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = succeed,
    .xFileSize = size,
    .xLock = succeed,
    .xUnlock = succeed,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

BackupSink::Registration::Registration(sqlite3_vfs& vfs) : vfs_(vfs) {
  invariant(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK, "the backup's VFS could not be registered");
}

sqlite3_vfs BackupSink::make_vfs(BackupSink* sink) {
  sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);
  vfs.zName = kName;
  vfs.pNext = nullptr;
  vfs.szOsFile = static_cast<int>(sizeof(File));
  vfs.pAppData = sink;
  vfs.xOpen = open;
  vfs.xDelete = remove;
  vfs.xAccess = tell_access;
  vfs.xFullPathname = full_path;
  return vfs;
}

BackupSink::BackupSink(std::uint32_t page_size, std::uint32_t page_count, TakePage take)
    : vfs_(make_vfs(this)),
      registration_(vfs_),
      page_size_(page_size),
      page_count_(page_count),
      lock_byte_page_(kLockByte / page_size + 1),
      take_(std::move(take)),
      connection_(open_connection("copy", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, kName)) {
  execute(connection_.get(),
          "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
          "PRAGMA cache_size=16");
}

int BackupSink::open(sqlite3_vfs* vfs, const char*, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
  reinterpret_cast<File*>(file)->sink = static_cast<BackupSink*>(vfs->pAppData);
  file->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

// SQLite reads only before anything is written, and then the file is empty.
int BackupSink::read(sqlite3_file* file, void* out, int size, sqlite3_int64) {
  if (reinterpret_cast<File*>(file)->sink->size_bytes_ > 0) return SQLITE_IOERR_READ;
  std::memset(out, 0, static_cast<std::size_t>(size));
  return SQLITE_IOERR_SHORT_READ;
}

int BackupSink::size(sqlite3_file* file, sqlite3_int64* size) {
  *size = reinterpret_cast<File*>(file)->sink->size_bytes_;
  return SQLITE_OK;
}

// No exception may pass through SQLite. It is kept for rethrow().
int BackupSink::write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  BackupSink& sink = *reinterpret_cast<File*>(file)->sink;
  if (sink.failure_) return SQLITE_IOERR_WRITE;
  try {
    if (static_cast<std::uint32_t>(size) != sink.page_size_ || offset % size != 0)
      throw Error(ErrorKind::kFailed, "SQLite's backup wrote what is no whole page");
    sink.add(static_cast<std::uint32_t>(offset / size) + 1,
             {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)});
    sink.size_bytes_ = std::max(sink.size_bytes_, offset + size);
    return SQLITE_OK;
  } catch (...) {
    sink.failure_ = std::current_exception();
    return SQLITE_IOERR_WRITE;
  }
}

void BackupSink::add(std::uint32_t number, ByteView page) {
  if (number == 1) {
    page_one_.assign(page.begin(), page.end());
    return;
  }
  add_lock_byte_page();
  if (number != next_page_)
    throw Error(ErrorKind::kFailed, "SQLite's backup gave page " + std::to_string(number) + " in place of " +
                                        std::to_string(next_page_));
  ++next_page_;
  take_(page);
}

void BackupSink::add_lock_byte_page() {
  if (next_page_ != lock_byte_page_) return;
  ++next_page_;
  take_(Bytes(page_size_));
}

void BackupSink::finish() {
  rethrow();
  if (next_page_ <= page_count_) add_lock_byte_page();
  if (page_one_.empty() || next_page_ - 1 != std::max(page_count_, 1U))
    throw Error(ErrorKind::kCorrupt, "it has fewer pages than its header says");
}

void BackupSink::rethrow() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace litepull
