#include "agent/lock_watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <iterator>

#include "agent/database_header.h"
#include "agent/file_id.h"
#include "agent/guard_vfs.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// The clock of a file system's timestamps moves in steps of up to 10 ms.
constexpr std::int64_t kTimestampStepNs = 10'000'000;

// Offsets in the index of a WAL (https://sqlite.org/walformat.html#walidxfmt): in its header, and of how much
// of the WAL is in the database's file.
constexpr std::size_t kLastFrame = 16, kSalts = 32, kCheckpointed = 96;
constexpr int kIndexBytes = 32 * 1024;
constexpr std::size_t kLogHeaderBytes = 32, kLogSalts = 16, kLogFrameBytes = 24;

constexpr std::uint8_t kJournalMagic[] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

std::uint32_t number_at(const std::uint8_t* bytes, std::size_t at) {
  std::uint32_t number = 0;  // in this machine's byte order
  std::memcpy(&number, bytes + at, sizeof number);
  return number;
}

// Reads the first `size` bytes of a sidecar, or fewer. SQLite has no locks on it that closing it could
// release.
Bytes beginning_of(const std::string& path, std::size_t size) {
  Bytes bytes(size);
  const Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const ssize_t got = fd ? retry_eintr([&] { return pread(fd.get(), bytes.data(), size, 0); }) : 0;
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

}  // namespace

Error locks_do_not_meet(const std::string& sign) {
  return Error(ErrorKind::kRefused, "its app and litepull do not see each other's locks: " + sign,
               "open it in the app without vfs=unix-dotfile and nolock=1, on a local file system, under the "
               "directory that is REMOTE_BACKUP_DIR; or pull while the app is stopped");
}

LockWatch::LockWatch(sqlite3* reader, const Candidate& candidate, JournalMode mode)
    : reader_(reader), candidate_(candidate), mode_(mode) {
  if (mode_ == JournalMode::kWal) take_log_state();
  // The order matters: a checkpoint writes to the file before it reports that it has.
  first_ = look();
  taken_ns_ = now_ns();
}

LockWatch::Look LockWatch::look() const {
  struct stat status {};
  if (lstat(candidate_.path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim)};
}

sqlite3_file* LockWatch::file() const {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(reader_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  invariant(file != nullptr && file->pMethods != nullptr, "an open database without its file");
  return file;
}

// A reader that finds all of the WAL in the file already uses the file alone. Then the WAL may start over,
// and no checkpoint may write. Any other reader keeps the WAL from starting over. SQLite does not tell which
// kind a writer is.
void LockWatch::take_log_state() {
  if (is_writing()) return;
  sqlite3_snapshot* taken = nullptr;
  const int result = sqlite3_snapshot_get(reader_, "main", &taken);
  reads_file_alone_ = result == SQLITE_ERROR;  // the WAL is empty
  if (result != SQLITE_OK) return;
  std::uint8_t header[sizeof(sqlite3_snapshot::hidden)];
  std::copy(std::begin(taken->hidden), std::end(taken->hidden), header);
  sqlite3_snapshot_free(taken);
  last_frame_ = number_at(header, kLastFrame);
  std::copy_n(header + kSalts, sizeof salts_, salts_);
  void volatile* index = nullptr;
  sqlite3_file* database = file();
  // A read-only index is mapped too, and SQLITE_READONLY says so.
  const int mapped = database->pMethods->xShmMap(database, 0, kIndexBytes, 0, &index);
  if ((mapped != SQLITE_OK && mapped != SQLITE_READONLY) || index == nullptr) return;
  const auto* bytes = const_cast<const std::uint8_t*>(static_cast<std::uint8_t volatile*>(index));
  reads_log_ = std::equal(std::begin(salts_), std::end(salts_), bytes + kSalts) &&
               number_at(bytes, kCheckpointed) < last_frame_;
  reads_file_alone_ = !reads_log_;
}

Bytes LockWatch::header() const {
  Bytes bytes(kDatabaseHeaderBytes);
  GuardVfs::read_file_itself(file(), bytes.data(), static_cast<int>(bytes.size()), 0);
  return bytes;
}

void LockWatch::begin() {
  sqlite3_db_release_memory(reader_);
  if (!file_is_frozen()) return require_still();
  wait_for_the_next_tick();
  header_ = header();
  if (is_writing()) return require_still();
  // SQLite has kept the first page since the transaction began. A writer may have changed its own copy.
  Statement first(reader_, "SELECT substr(data, 1, 100) FROM sqlite_dbpage('main') WHERE pgno = 1");
  if (first.step() && !std::ranges::equal(first.blob(), header_))
    throw locks_do_not_meet("its first page was written to while we held a read lock on it");
  require_still();
}

void LockWatch::wait_for_the_next_tick() const {
  const std::int64_t until_ns = first_.modified_ns + kTimestampStepNs;
  if (taken_ns_ > until_ns || first_.modified_ns > taken_ns_) return;
  const std::int64_t left_ns = until_ns - now_ns();
  if (left_ns > 0 && left_ns <= kTimestampStepNs) usleep(static_cast<useconds_t>(left_ns / 1000 + 1));
}

void LockWatch::require_still() const {
  struct stat status {};
  if (lstat((candidate_.path + ".lock").c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    throw locks_do_not_meet("there is a directory " + printable(candidate_.name) +
                            ".lock, which SQLite makes with vfs=unix-dotfile");
  if (file_is_frozen()) require_frozen_file();
  if (mode_ == JournalMode::kRollback) require_no_foreign_journal();
  if (reads_log_) require_log();
}

void LockWatch::require_frozen_file() const {
  if (look() != first_) throw locks_do_not_meet("its file was written to while we held a read lock on it");
  if (!header_.empty() && header() != header_)
    throw locks_do_not_meet("its change counter moved while we held a read lock on it");
}

// A program with a valid journal also has the lock of a writer. One that is just undoing its change removes
// the journal first.
void LockWatch::require_no_foreign_journal() const {
  const std::string path = candidate_.path + "-journal";
  const auto is_valid = [&] {
    return std::ranges::equal(beginning_of(path, sizeof kJournalMagic), kJournalMagic);
  };
  if (!is_valid()) return;
  int locked = 0;
  sqlite3_file* database = file();
  if (!is_writing() &&
      (database->pMethods->xCheckReservedLock(database, &locked) != SQLITE_OK || locked != 0))
    return;
  if (is_valid()) throw locks_do_not_meet("its journal is that of a writer, and no writer's lock is held");
}

void LockWatch::require_log() const {
  const std::string path = candidate_.path + "-wal";
  const Bytes header = beginning_of(path, kLogHeaderBytes);
  if (header.size() != kLogHeaderBytes ||
      !std::equal(std::begin(salts_), std::end(salts_), header.begin() + kLogSalts))
    throw locks_do_not_meet("its WAL began anew while we held a read lock on it");
  // The page size is in the bytes 8 to 11 of the WAL.
  const std::uint64_t page_size = std::uint64_t{header[8]} << 24 | std::uint64_t{header[9]} << 16 |
                                  std::uint64_t{header[10]} << 8 | header[11];
  if (size_of(path) < kLogHeaderBytes + std::uint64_t{last_frame_} * (page_size + kLogFrameBytes))
    throw locks_do_not_meet("its WAL became shorter while we held a read lock on it");
}

}  // namespace litepull
