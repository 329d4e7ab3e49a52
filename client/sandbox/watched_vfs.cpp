#include "client/sandbox/watched_vfs.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <new>
#include <utility>

#include "common/error.h"

namespace litepull {
namespace {

constexpr int kMaxPathForSqlite = 16 * 1024;  // more than any system accepts
constexpr int kStepsAtOnce = 10'000;          // steps of SQLite's virtual machine between two reports

// The offset of the extension of an open file.
std::size_t extension_offset() {
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  static const std::size_t kOffset =
      (static_cast<std::size_t>(sqlite3_vfs_find(nullptr)->szOsFile) + kAlign - 1) / kAlign * kAlign;
  return kOffset;
}

double cpu_seconds_now() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace

WatchedVfs::WatchedVfs(std::function<void()> progress)
    : progress_(std::move(progress)),
      name_(fmt::format("litepull-watched-{}", static_cast<const void*>(this))),
      real_(sqlite3_vfs_find(nullptr)),
      vfs_(*real_) {
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.mxPathname = kMaxPathForSqlite;
  vfs_.szOsFile = static_cast<int>(extension_offset() + sizeof(Extension));
  vfs_.pAppData = this;
  vfs_.xOpen = open_file;
  vfs_.xFullPathname = full_path;
  invariant(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK, "the watched VFS could not be registered");
}

WatchedVfs::~WatchedVfs() {
  sqlite3_vfs_unregister(&vfs_);
}

SQLite::Database WatchedVfs::open(const std::string& name, int flags) {
  SQLite::Database database(name, flags, 0, name_);
  sqlite3_progress_handler(database.getHandle(), kStepsAtOnce, step, this);
  return database;
}

void WatchedVfs::interrupt_after(double cpu_seconds) {
  interrupt_at_ = cpu_seconds_now() + cpu_seconds;
}

WatchedVfs::Extension& WatchedVfs::extension(sqlite3_file* file) {
  return *std::launder(
      reinterpret_cast<Extension*>(reinterpret_cast<std::uint8_t*>(file) + extension_offset()));
}

const sqlite3_io_methods* WatchedVfs::watched(const sqlite3_io_methods* real) {
  auto [found, added] = methods_.try_emplace(real, *real);
  if (added) {
    found->second.xRead = read;
    found->second.xWrite = write;
    found->second.xSync = sync;
  }
  return &found->second;
}

int WatchedVfs::open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* self = static_cast<WatchedVfs*>(vfs->pAppData);
  const int result = self->real_->xOpen(self->real_, name, file, flags, out_flags);
  if (result == SQLITE_OK) {
    new (reinterpret_cast<std::uint8_t*>(file) + extension_offset()) Extension{file->pMethods, self};
    file->pMethods = self->watched(file->pMethods);
  }
  return result;
}

int WatchedVfs::full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  return std::snprintf(out, static_cast<std::size_t>(size), "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

int WatchedVfs::read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const int result = extension(file).real->xRead(file, out, size, offset);
  extension(file).vfs->advance();
  return result;
}

int WatchedVfs::write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const int result = extension(file).real->xWrite(file, data, size, offset);
  extension(file).vfs->advance();
  return result;
}

int WatchedVfs::sync(sqlite3_file* file, int flags) {
  const int result = extension(file).real->xSync(file, flags);
  extension(file).vfs->advance();
  return result;
}

int WatchedVfs::step(void* self) {
  auto* vfs = static_cast<WatchedVfs*>(self);
  vfs->advance();
  return vfs->interrupt_at_ > 0 && cpu_seconds_now() > vfs->interrupt_at_ ? 1 : 0;
}

}  // namespace litepull
