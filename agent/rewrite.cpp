#include "agent/rewrite.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/beneath.h"
#include "agent/database_header.h"
#include "agent/file_id.h"
#include "agent/lock_holder.h"
#include "agent/lock_watch.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "agent/sqlite_problem.h"
#include "agent/write_vfs.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr useconds_t kWriterBusyStepUs = 500;
constexpr int kTriesWithoutLock = 3;
// How many KiB of changed pages are kept in memory. Beyond that, SQLite writes some of them out before the
// commit.
constexpr std::int64_t kCacheKiB = 16 * 1024;
constexpr std::size_t kReadAtOnceBytes = 256 * 1024;

// Offsets in the first page (https://sqlite.org/fileformat2.html#the_database_header).
constexpr std::size_t kVersions = 18, kChangeCounter = 24, kPageCount = 28, kSchemaCookie = 40,
                      kValidFor = 92;

void put_big_endian(Bytes& page, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) page[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

int wait_until(void* deadline_us, int) {
  if (monotonic_us() >= *static_cast<std::uint64_t*>(deadline_us)) return 0;
  usleep(kWriterBusyStepUs);
  return 1;
}

class Rewrite {
 public:
  Rewrite(const Candidate& there, const Image& image, const Digest& digest, const RewritePatience& patience)
      : there_(there),
        image_(image),
        digest_(digest),
        patience_(patience),
        changed_(std::size_t{image.pages()} + 1) {}

  ~Rewrite() { close(); }
  Rewrite(const Rewrite&) = delete;
  Rewrite& operator=(const Rewrite&) = delete;

  Restored run(std::uint32_t differing) {
    open();
    const std::uint64_t since_us = lock_with_differences_known(differing);
    write_differing_pages();
    write_first_page();
    read_back();
    cut_off();
    change_schema_cookie();
    commit();
    result_.lock_us = monotonic_us() - since_us;
    result_.page_count = image_.pages();
    result_.wal_bytes_after = size_of(there_.path + "-wal");
    close();
    return result_;
  }

 private:
  void open() {
    made_sidecars_ = !exists(there_.path + "-wal") && !exists(there_.path + "-shm");
    result_.wal_bytes_before = size_of(there_.path + "-wal");
    connection_ = open_candidate(there_, SQLITE_OPEN_READWRITE, register_write_vfs());
    sqlite3_busy_handler(connection_.get(), wait_until, &deadline_us_);
    sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_wal_autocheckpoint(connection_.get(), 0);
    deadline_us_ = monotonic_us() + patience_.lock_us;
    // It does not matter here whether the schema can be parsed, before or after the change.
    execute("PRAGMA writable_schema=ON");
    // In rollback mode this also syncs the directory. A journal that came back after a power cut would undo
    // the restore.
    execute("PRAGMA synchronous=EXTRA");
    execute("PRAGMA cache_size=-" + std::to_string(kCacheKiB));
    Statement mode(connection_.get(), "PRAGMA journal_mode");
    wal_ = mode.step() && mode.text() == "wal";
    if (!wal_) keep_journal_file();
  }

  // An app that keeps its journal file, emptied or not, must find it again.
  void keep_journal_file() {
    const std::string journal = there_.path + "-journal";
    if (!exists(journal)) return;
    Statement set(connection_.get(),
                  size_of(journal) > 0 ? "PRAGMA journal_mode=PERSIST" : "PRAGMA journal_mode=TRUNCATE");
    (void)set.step();
  }

  // With more changes than fit into memory, a rollback-mode transaction needs the readers gone before its
  // end. So it waits for that at its beginning, when there is nothing to undo if they do not leave.
  std::uint64_t lock(std::uint32_t differing) {
    const bool spills = std::uint64_t{differing} * image_.page_size() > std::uint64_t{kCacheKiB} * 1024 / 2;
    deadline_us_ = monotonic_us() + patience_.lock_us;
    execute("BEGIN IMMEDIATE");
    const std::uint64_t since_us = monotonic_us();
    deadline_us_ = since_us + patience_.commit_us;
    if (wal_ || !spills) return since_us;
    execute("ROLLBACK");
    execute("BEGIN EXCLUSIVE");
    return since_us;
  }

  void require_same_file() {
    struct stat status {};
    if (lstat(there_.path.c_str(), &status) != 0 || status.st_dev != there_.device ||
        status.st_ino != there_.inode)
      throw Error(ErrorKind::kRefused, "it was replaced by another file while its snapshot was on its way",
                  "stop what replaces it, then run this again");
    if (number("PRAGMA page_size") != image_.page_size())
      throw Error(ErrorKind::kRefused, "its page size was changed while its snapshot was on its way",
                  "run this again");
    count_ = number("PRAGMA page_count");
    if (count_ == 0)
      throw Error(ErrorKind::kRefused, "it has lost its pages while its snapshot was on its way",
                  "stop the app, move the file away, and run this again: it is then made new");
  }

  // Finding the differences takes a second for a gigabyte. In WAL mode they can be found in a read
  // transaction, which blocks nobody. It becomes the write transaction if nobody has committed meanwhile. An
  // app that commits all the time has to wait in the end.
  std::uint64_t lock_with_differences_known(std::uint32_t differing) {
    for (int i = 0; wal_ && i < kTriesWithoutLock; ++i) {
      execute("BEGIN");
      find_differences();
      const std::uint64_t since_us = monotonic_us();
      if (upgrade()) return since_us;
      execute("ROLLBACK");
    }
    const std::uint64_t since_us = lock(differing);
    find_differences();
    return since_us;
  }

  // Makes the read transaction a write transaction by writing the first page unchanged. False when what was
  // read is no longer the newest state.
  bool upgrade() {
    deadline_us_ = monotonic_us() + patience_.commit_us;
    try {
      Statement write(connection_.get(), "INSERT INTO sqlite_dbpage(pgno, data) VALUES (1, ?1)");
      write.bind(1, old_first_);
      write.run();
      return true;
    } catch (const SqliteError& error) {
      if (error.code() == SQLITE_BUSY) return false;
      throw;
    }
  }

  // Checks meanwhile that our locks are respected, because nobody may write to what we are about to replace.
  void find_differences() {
    require_same_file();
    LockWatch locks(connection_.get(), there_, wal_ ? JournalMode::kWal : JournalMode::kRollback);
    locks.begin();
    compare_pages();
    locks.require_still();
  }

  // Compares the whole database with the whole image in one pass, and computes the digests of both.
  void compare_pages() {
    std::fill(changed_.begin(), changed_.end(), false);
    Statement there(connection_.get(), "SELECT data FROM sqlite_dbpage('main')");
    StreamingDigest replaced(image_.key()), written(image_.key());
    Bytes block;
    const auto at_once = static_cast<std::uint32_t>(kReadAtOnceBytes / image_.page_size());
    const std::uint32_t last = std::max(count_, image_.pages());
    std::uint32_t first = 1;  // the first page of the block
    for (std::uint32_t number = 1; number <= last; ++number) {
      if (number <= image_.pages() && (number - 1) % at_once == 0) {
        first = number;
        image_.read(first, std::min(at_once, image_.pages() - first + 1), block);
        written.add(block);
      }
      ByteView old;
      if (number <= count_) {
        if (!there.step())
          throw Error(ErrorKind::kCorrupt, "what is on the server has fewer pages than its header says",
                      "stop the app, move the file away with its -wal and -shm, and run this again: it is "
                      "then made new");
        old = there.blob();
        replaced.add(old);
      }
      if (number > image_.pages()) continue;
      const ByteView page =
          ByteView(block).subspan(std::size_t{number - first} * image_.page_size(), image_.page_size());
      if (number == 1) {
        old_first_.assign(old.begin(), old.end());
        first_.assign(page.begin(), page.end());
      } else if (!is_lock_byte_page(number)) {
        changed_[number] = !std::equal(old.begin(), old.end(), page.begin(), page.end());
      }
    }
    result_.replaced = replaced.result();
    if (written.result() != digest_)
      throw Error(ErrorKind::kFailed, "the image of the snapshot's file has changed on the server's disk",
                  "check the disk that holds /var/tmp on the server; nothing was replaced");
  }

  void write_differing_pages() {
    Statement write(connection_.get(), "INSERT INTO sqlite_dbpage(pgno, data) VALUES (?1, ?2)");
    Bytes page;
    for (std::uint32_t number = 2; number <= image_.pages(); ++number) {
      if (!changed_[number]) continue;
      image_.read(number, 1, page);
      put(write, number, page);
    }
  }

  // Keeps the old schema cookie for now. With a new one, SQLite would read the schema for our next statement,
  // using what it remembers of pages that have changed.
  void write_first_page() {
    // With FULL, SQLite would move pages of ours at the commit, by what it knows of the old database. The
    // statement only changes the setting of this connection: what it writes to the first page is overwritten.
    if (number("PRAGMA auto_vacuum") == 1) execute("PRAGMA auto_vacuum=INCREMENTAL");
    invariant(old_first_.size() == image_.page_size() && first_.size() == image_.page_size(),
              "no first page");
    for (const std::size_t at : {kVersions, kVersions + 1}) first_[at] = old_first_[at];
    for (const std::size_t at : {kChangeCounter, kValidFor, kValidFor + 4})
      put_big_endian(first_, at, big_endian(old_first_, at));
    put_big_endian(first_, kPageCount, image_.pages());
    put_big_endian(first_, kSchemaCookie, big_endian(old_first_, kSchemaCookie));
    Statement write(connection_.get(), "INSERT INTO sqlite_dbpage(pgno, data) VALUES (?1, ?2)");
    put(write, 1, first_);
    changed_[1] = true;
  }

  void put(Statement& write, std::uint32_t number, ByteView page) {
    write.bind(1, std::int64_t{number});
    write.bind(2, page);
    write.run();
    ++result_.pages_written;
  }

  // Checks the written pages as SQLite will commit them. The digest of the image covers these pages and the
  // equal ones, so together they are the whole database.
  void read_back() {
    // SQLite reads the number of pages from the first page again when a savepoint is rolled back. Until then
    // sqlite_dbpage would not show pages past the old end. This is not done when the database shrinks: see
    // cut_off.
    if (image_.pages() > count_) {
      execute("SAVEPOINT grown; ROLLBACK TO grown; RELEASE grown");
      require_count(image_.pages());
    }
    Statement read(connection_.get(), "SELECT data FROM sqlite_dbpage('main') WHERE pgno = ?1");
    Bytes wanted;
    for (std::uint32_t number = 1; number <= image_.pages(); ++number) {
      if (!changed_[number]) continue;
      image_.read(number, 1, wanted);
      read.bind(1, std::int64_t{number});
      const bool there = read.step();
      const ByteView is = there ? read.blob() : ByteView();
      Bytes found(is.begin(), is.end());
      if (number == 1 && found.size() == first_.size()) {
        wanted = first_;
        // SQLite may have raised its own counters when it wrote the page out.
        for (const std::size_t at : {kChangeCounter, kValidFor, kValidFor + 4})
          put_big_endian(found, at, big_endian(wanted, at));
      }
      if (found != wanted)
        throw Error(ErrorKind::kFailed, "page " + std::to_string(number) + " was not what had been written",
                    "check the server's disk and memory; the database is as it was");
      read.reset();
    }
  }

  // By the rules of sqlite_dbpage, NULL as the data of a page truncates the database before it at the commit.
  // SQLite takes the pages up to the old number of pages for those to cut.
  void cut_off() {
    if (image_.pages() >= count_) return;
    Statement cut(connection_.get(), "INSERT INTO sqlite_dbpage(pgno, data) VALUES (?1, NULL)");
    cut.bind(1, std::int64_t{image_.pages()} + 1);
    cut.run();
    require_count(count_);
  }

  // Makes every open connection read the schema again.
  void change_schema_cookie() {
    const std::uint32_t cookie = big_endian(old_first_, kSchemaCookie) + 1;
    execute("PRAGMA schema_version=" + std::to_string(static_cast<std::int32_t>(cookie)));
  }

  // What SQLite shows and what it cuts depends on what it takes for the number of pages.
  void require_count(std::uint32_t pages) {
    if (number("PRAGMA page_count") != pages)
      throw Error(ErrorKind::kFailed, "this SQLite cannot change the size of a database by its pages",
                  "build litepull with the pinned SQLite; the database is as it was");
  }

  void commit() {
    deadline_us_ = monotonic_us() + patience_.commit_us;
    execute("COMMIT");
    invariant(sqlite3_get_autocommit(connection_.get()) != 0, "a commit that was none");
  }

  // The WAL stays for the app to checkpoint. When our own opening made it, the app is not running, and it
  // goes.
  void close() noexcept {
    if (connection_ && made_sidecars_) {
      deadline_us_ = 0;
      sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
    }
    connection_.reset();
  }

  bool is_lock_byte_page(std::uint32_t number) const { return number == kLockByte / image_.page_size() + 1; }

  void execute(const std::string& sql) { litepull::execute(connection_.get(), sql.c_str()); }

  std::uint32_t number(const char* pragma) {
    Statement value(connection_.get(), pragma);
    return value.step() ? static_cast<std::uint32_t>(value.integer()) : 0;
  }

  const Candidate& there_;
  const Image& image_;
  const Digest& digest_;
  const RewritePatience& patience_;
  std::uint64_t deadline_us_ = 0;  // for the busy handler
  bool made_sidecars_ = false;
  bool wal_ = false;
  std::uint32_t count_ = 0;    // pages of the database before the change
  Bytes first_, old_first_;    // page 1 as it shall be, and as it was
  std::vector<bool> changed_;  // by page number
  Restored result_;
  Connection connection_;  // must be closed first, because the busy handler uses this object
};

Error explained(const SqliteError& error, const std::string& path) {
  if (error.code() == SQLITE_BUSY) {
    const std::string holder = lock_holder_of(path);
    return Error(
        ErrorKind::kBusy,
        (holder.empty() ? "the app, or another program," : holder) + " kept it locked for too long (" +
            std::string(error.what()) + ")",
        "stop the app, or look for a long transaction or PRAGMA locking_mode=EXCLUSIVE in it, then run "
        "this again");
  }
  if (error.code() == SQLITE_FULL)
    return Error(ErrorKind::kFailed, "the disk of the storage directory is full; the database is as it was",
                 "free some space there, then run this again");
  return Error(problem_of(error, path));
}

}  // namespace

Restored rewrite(const Candidate& there, const Image& image, const Digest& digest, std::uint32_t differing,
                 const RewritePatience& patience) {
  try {
    return Rewrite(there, image, digest, patience).run(differing);
  } catch (const SqliteError& error) {
    throw explained(error, there.path);
  }
}

}  // namespace litepull
