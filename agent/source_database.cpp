#include "agent/source_database.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/beneath.h"
#include "agent/database_header.h"
#include "agent/file_id.h"
#include "agent/sqlite_problem.h"
#include "common/posix.h"

namespace litepull {
namespace {

// How long to wait for a rollback-mode writer. It keeps readers out while it commits, or during its whole
// transaction when that is exclusive. The steps are short and vary in length. Those of sqlite3_busy_timeout
// grow to 100 ms, and with them a writer that commits without pause would be met in a commit each time.
constexpr std::uint64_t kBusyWaitUs = 10'000'000;
constexpr useconds_t kBusyStepUs = 300;

int wait_a_moment(void* since_us, int tries) {
  auto& since = *static_cast<std::uint64_t*>(since_us);
  if (tries == 0) since = monotonic_us();
  if (monotonic_us() - since >= kBusyWaitUs) return 0;
  usleep(kBusyStepUs + kBusyStepUs / 2 * static_cast<useconds_t>(tries % 7));
  return 1;
}

constexpr std::size_t kReadVersionAt = 19;  // https://sqlite.org/fileformat2.html#the_database_header
constexpr std::uint8_t kWalVersion = 2;
constexpr std::uint8_t kWal2Version = 3;  // of SQLite's branch wal2

Connection open_guarded(const Candidate& candidate) {
  Connection connection = open_candidate(candidate, SQLITE_OPEN_READWRITE, GuardVfs::kName);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // Pages are copied without understanding the schema. So a schema that this SQLite cannot parse, because it
  // is newer or damaged, is copied too: writable_schema ignores its errors
  // (https://sqlite.org/pragma.html#pragma_writable_schema). Defensive mode is set after it, because it takes
  // away the right to write. With that right SQLite would also accept a file that was cut short.
  execute(connection.get(), "PRAGMA writable_schema=ON");
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

// Calls `work` and throws SQLite's errors as Error, in words for the database's user. `has_waited` says that
// `work` waits for a lock.
template <typename Work>
void explaining(const std::string& path, Work work, bool has_waited = false) {
  try {
    work();
  } catch (const SqliteError& error) {
    const bool is_locked = has_waited && error.code() == SQLITE_BUSY;
    throw Error(is_locked ? problem_of_lock(path, error.what(), kBusyWaitUs) : problem_of(error, path));
  }
}

}  // namespace

SourceDatabase::SourceDatabase(GuardVfs& guard, const Candidate& candidate)
    : guard_(&guard), candidate_(candidate) {
  open();
}

void SourceDatabase::open() {
  made_sidecars_ = !exists(candidate_.path + "-wal") && !exists(candidate_.path + "-shm");
  try {
    explaining(candidate_.path, [&] { probe(); });
  } catch (const Error&) {
    close();
    throw;
  }
  struct stat status {};
  if (lstat(candidate_.path.c_str(), &status) == 0 && status.st_dev == candidate_.device &&
      status.st_ino == candidate_.inode)
    return;
  close();
  throw Error(ErrorKind::kFailed, "it was replaced while it was being opened", "pull again");
}

// Opening succeeds even on files that cannot be read; the first statement fails
// (https://sqlite.org/c3ref/open.html). Asking for the journal mode reads the schema first, so a damaged
// schema is found.
void SourceDatabase::probe() {
  reader_ = open_guarded(candidate_);
  require_own_header();  // before SQLite looks for a WAL
  begin(Busy::kWait);
  {
    Statement mode(reader_.get(), "PRAGMA journal_mode");
    journal_mode_ = mode.step() && mode.text() == "wal" ? JournalMode::kWal : JournalMode::kRollback;
  }
  settle_pin();
  release();
  forget_schema();
}

// A thousand schemas would take too much memory. And a schema that has changed would be read again while
// writers wait. RESET is described at https://sqlite.org/pragma.html#pragma_writable_schema.
void SourceDatabase::forget_schema() {
  sqlite3_db_config(reader_.get(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  execute(reader_.get(), "PRAGMA writable_schema=RESET");
  execute(reader_.get(), "PRAGMA writable_schema=ON");
  sqlite3_db_config(reader_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_release_memory(reader_.get());
  GuardVfs::let_go_of_index(reader_.get());
}

// Judges by the file's own bytes. A WAL that was put beside another file would give it a first page, and the
// rest of that file would be taken for the pages of a database.
void SourceDatabase::require_own_header() {
  FileHeader header{};
  if (!read_file_header(reader_.get(), header) || !has_database_magic(header))
    throw Error(ErrorKind::kCorrupt, "it is not a SQLite database, or it is encrypted",
                "name it in EXCLUDE, or back it up with the program that encrypts it");
  const int version = header[kReadVersionAt];
  if (version <= kWalVersion) return;
  throw Error(ErrorKind::kRefused,
              "its header asks for file format " + std::to_string(version) +
                  (version == kWal2Version ? ", which is WAL2 mode" : "") +
                  ": no released SQLite, and so not the agent's, can read that",
              version == kWal2Version
                  ? "run PRAGMA journal_mode=WAL on it with the app's own SQLite, then pull again"
                  : "if it is damaged, restore it from the last good snapshot; else name it in EXCLUDE");
}

std::uint32_t SourceDatabase::pragma(const char* statement) {
  Statement value(reader_.get(), statement);
  return value.step() ? static_cast<std::uint32_t>(value.integer()) : 0;
}

SourceDatabase::~SourceDatabase() {
  close();
}

// An app that is not running leaves no sidecars, and then we leave none either. An app that started meanwhile
// keeps its own, because SQLite removes the WAL only as its last user.
void SourceDatabase::close() noexcept {
  if (reader_ && made_sidecars_ && size_of(candidate_.path + "-wal") == 0) {
    guard_->allow_wal_removal(candidate_.path);
    sqlite3_db_config(reader_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  }
  locker_.reset();
  reader_.reset();
}

void SourceDatabase::rest() {
  release();
  state_probe_.reset();
  close();
}

void SourceDatabase::wake() {
  if (is_resting()) open();
}

void SourceDatabase::open_locker() {
  explaining(candidate_.path, [&] { locker_ = open_guarded(candidate_); });
  // The first use of a connection takes some time, and it is done here so that no writer waits for it.
  // Failing to get a lock does not matter.
  sqlite3_exec(locker_.get(), "PRAGMA schema_version", nullptr, nullptr, nullptr);
  GuardVfs::let_go_of_index(locker_.get());
}

bool SourceDatabase::try_lock() {
  invariant(locker_ != nullptr, "a lock was tried without its connection");
  const int result = sqlite3_exec(locker_.get(), "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  if ((result & 0xFF) == SQLITE_BUSY) return false;
  if (result != SQLITE_OK)
    throw Error(ErrorKind::kFailed, std::string("its write lock: ") + sqlite3_errmsg(locker_.get()));
  GuardVfs::let_go_of_index(locker_.get());
  return true;
}

void SourceDatabase::unlock() noexcept {
  if (!locker_) return;
  sqlite3_exec(locker_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  GuardVfs::let_go_of_index(locker_.get());
}

void SourceDatabase::pin() {
  wake();
  begin(Busy::kWait);
  settle_pin();
}

bool SourceDatabase::try_pin() {
  if (!start_pin()) return false;
  settle_pin();
  return true;
}

bool SourceDatabase::start_pin() {
  try {
    begin(Busy::kFailAtOnce);
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBusy) return false;
    throw;
  }
}

void SourceDatabase::begin(Busy busy) {
  pinned_ = false;
  const bool waits = busy == Busy::kWait;
  sqlite3_busy_handler(reader_.get(), waits ? wait_a_moment : nullptr, &busy_since_us_);
  const auto start = [&] {
    if (sqlite3_get_autocommit(reader_.get()) == 0) execute(reader_.get(), "ROLLBACK");
    state_probe_.emplace(candidate_);
    execute(reader_.get(), "BEGIN");
    pragma("PRAGMA schema_version");  // the first read starts the transaction
    pinned_since_us_ = monotonic_us();
  };
  explaining(candidate_.path, start, waits);
  invariant(sqlite3_txn_state(reader_.get(), "main") == SQLITE_TXN_READ,
            "a pinned database is not being read");
  GuardVfs::let_go_of_index(reader_.get());
  pinned_ = true;
}

// The journal mode may have changed since the database was opened. A WAL stays one, because that mode changes
// only without any other connection.
void SourceDatabase::settle_pin() {
  explaining(candidate_.path, [&] {
    FileHeader header{};
    const bool wal = read_file_header(reader_.get(), header) && header[kReadVersionAt] == kWalVersion;
    if (wal) journal_mode_ = JournalMode::kWal;
    locks_.emplace(reader_.get(), candidate_, journal_mode_);
    page_size_ = pragma("PRAGMA page_size");
    page_count_ = count_pages();
    marks_ = state_probe_->settle(reader_.get(), journal_mode_);
  });
  GuardVfs::let_go_of_index(reader_.get());
  wal_bytes_at_pin_ = wal_bytes();
}

// PRAGMA page_count would read the schema first. A backup knows the number without it.
std::uint32_t SourceDatabase::count_pages() {
  const Connection nowhere = open_connection(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  sqlite3_backup* backup = sqlite3_backup_init(nowhere.get(), "main", reader_.get(), "main");
  invariant(backup != nullptr, "no memory to count pages");
  sqlite3_backup_step(backup, 0);
  const int pages = sqlite3_backup_pagecount(backup);
  const int result = sqlite3_backup_finish(backup);
  if (result != SQLITE_OK) throw SqliteError(result, sqlite3_errstr(result));
  return static_cast<std::uint32_t>(pages);
}

void SourceDatabase::release() {
  if (!pinned_) return;
  locks_.reset();
  execute(reader_.get(), "COMMIT");
  pinned_ = false;
  hold_us_ = monotonic_us() - pinned_since_us_;
}

std::uint64_t SourceDatabase::wal_bytes() const {
  return journal_mode_ == JournalMode::kWal ? size_of(candidate_.path + "-wal") : 0;
}

}  // namespace litepull
