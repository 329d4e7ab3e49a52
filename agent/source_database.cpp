#include "agent/source_database.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "common/posix.h"

namespace litepull {
namespace {

// A rollback-mode writer keeps readers out while it commits; this is how long one is waited for.
constexpr int kBusyTimeoutMs = 5'000;

bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

std::uint64_t size_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

Connection open_guarded(const std::string& path, int busy_timeout_ms) {
  Connection connection =
      open_connection(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, GuardVfs::kName);
  sqlite3_busy_timeout(connection.get(), busy_timeout_ms);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // Pages are copied without understanding the schema, so that one which this SQLite cannot parse (a newer
  // or a damaged one) is copied too: https://sqlite.org/pragma.html#pragma_writable_schema ignores its
  // errors. What else that would allow, the guard refuses.
  execute(connection.get(), "PRAGMA writable_schema=ON; PRAGMA cache_size=64");
  return connection;
}

}  // namespace

Problem describe(const SqliteError& error, const std::string& path) {
  const std::string said = error.what();
  const int code = error.code();
  const bool journal = exists(path + "-journal");
  if ((code == SQLITE_READONLY || code == SQLITE_CANTOPEN) && journal && size_of(path + "-journal") > 0)
    return {ErrorKind::kRefused,
            "it has a hot journal: a program died while it was writing, and its change must be undone first",
            "start the app, or open the database once with sqlite3 on the server, then pull again"};
  switch (code) {
    case SQLITE_NOTADB:
      return {ErrorKind::kCorrupt, "it is not a SQLite database, or it is encrypted",
              "name it in EXCLUDE, or back it up with the program that encrypts it"};
    case SQLITE_CORRUPT:
      return {ErrorKind::kCorrupt, "it is damaged (" + said + ")",
              "restore it from the last good snapshot; litepull list shows which that is"};
    case SQLITE_BUSY:
      return {ErrorKind::kBusy, "another program kept it locked for too long (" + said + ")",
              "find the long write transaction, or pull again later"};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return {ErrorKind::kRefused, "it cannot be opened (" + said + ")",
              "check that its owner may read and write it, its -wal and -shm files and its directory"};
    case SQLITE_FULL:
      return {ErrorKind::kFailed, "the disk is full, and its shared-memory file could not be made",
              "free some space on the server, or pull while the app runs"};
    default:
      return {ErrorKind::kFailed, said, ""};
  }
}

SourceDatabase::SourceDatabase(GuardVfs& guard, const Candidate& candidate)
    : guard_(&guard), name_(candidate.name), path_(candidate.path) {
  made_sidecars_ = !exists(path_ + "-wal") && !exists(path_ + "-shm");
  try {
    probe();
  } catch (const SqliteError& error) {
    const Problem problem = describe(error, path_);
    throw Error(problem.kind, problem.message, problem.hint);
  }
  struct stat status {};
  if (lstat(path_.c_str(), &status) != 0 || status.st_dev != candidate.device ||
      status.st_ino != candidate.inode)
    throw Error(ErrorKind::kFailed, "it was replaced while it was being opened", "pull again");
}

// Opening succeeds on files that cannot be read; the first statement tells
// (https://sqlite.org/c3ref/open.html).
void SourceDatabase::probe() {
  reader_ = open_guarded(path_, kBusyTimeoutMs);
  pragma("PRAGMA schema_version");
  Statement mode(reader_.get(), "PRAGMA journal_mode");
  journal_mode_ = mode.step() && mode.text() == "wal" ? JournalMode::kWal : JournalMode::kRollback;
}

std::uint32_t SourceDatabase::pragma(const char* statement) {
  Statement value(reader_.get(), statement);
  return value.step() ? static_cast<std::uint32_t>(value.integer()) : 0;
}

SourceDatabase::~SourceDatabase() {
  if (!reader_) return;
  // An app that is not running leaves no sidecars; then none are left by us either. An app that started
  // meanwhile keeps its own: SQLite removes the WAL only as its last user.
  if (made_sidecars_ && journal_mode_ == JournalMode::kWal && wal_bytes() == 0) {
    guard_->allow_wal_removal(path_);
    sqlite3_db_config(reader_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  }
  locker_.reset();
  reader_.reset();
}

bool SourceDatabase::try_lock() {
  if (!locker_) locker_ = open_guarded(path_, 0);
  const int result = sqlite3_exec(locker_.get(), "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  if (result != SQLITE_OK && result != SQLITE_BUSY)
    throw Error(ErrorKind::kFailed, std::string("its write lock: ") + sqlite3_errmsg(locker_.get()));
  return result == SQLITE_OK;
}

void SourceDatabase::unlock() noexcept {
  if (!locker_) return;
  sqlite3_exec(locker_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void SourceDatabase::pin() {
  if (pinned_) execute(reader_.get(), "COMMIT");
  pinned_ = false;
  try {
    execute(reader_.get(), "BEGIN");
    pragma("PRAGMA schema_version");  // the first read is what starts the transaction
    pinned_ = true;
    pinned_since_us_ = monotonic_us();
    page_size_ = pragma("PRAGMA page_size");
    page_count_ = pragma("PRAGMA page_count");
  } catch (const SqliteError& error) {
    const Problem problem = describe(error, path_);
    throw Error(problem.kind, problem.message, problem.hint);
  }
  check(sqlite3_txn_state(reader_.get(), "main") == SQLITE_TXN_READ, "a pinned database is not being read");
  wal_bytes_at_pin_ = wal_bytes();
}

void SourceDatabase::release() {
  if (!pinned_) return;
  execute(reader_.get(), "COMMIT");
  pinned_ = false;
  hold_us_ = monotonic_us() - pinned_since_us_;
}

std::uint64_t SourceDatabase::wal_bytes() const {
  return journal_mode_ == JournalMode::kWal ? size_of(path_ + "-wal") : 0;
}

}  // namespace litepull
