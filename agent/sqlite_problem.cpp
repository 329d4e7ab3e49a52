#include "agent/sqlite_problem.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "agent/file_id.h"
#include "agent/lock_holder.h"
#include "agent/lock_watch.h"
#include "common/posix.h"

namespace litepull {
namespace {

// A hot journal does not change, because the program that wrote it is dead.
bool is_being_written(const std::string& path) {
  constexpr int kLooks = 5;
  constexpr useconds_t kBetweenUs = 20'000;
  struct stat first {
  }, now{};
  if (lstat(path.c_str(), &first) != 0) return true;
  for (int look = 0; look < kLooks; ++look) {
    usleep(kBetweenUs);
    if (lstat(path.c_str(), &now) != 0 || now.st_ino != first.st_ino || now.st_size != first.st_size ||
        now.st_mtim.tv_sec != first.st_mtim.tv_sec || now.st_mtim.tv_nsec != first.st_mtim.tv_nsec)
      return true;
  }
  return false;
}

bool is_on_read_only_file_system(const std::string& path) {
  const std::string directory = path.substr(0, path.find_last_of('/') + 1) + ".";
  struct statvfs disk {};
  return statvfs(directory.c_str(), &disk) == 0 && (disk.f_flag & ST_RDONLY) != 0;
}

// SQLite needs to write a shared-memory file in order to read a WAL. Reading without one (immutable=1) would
// lose what is in the WAL, and would not notice programs that write through another mount.
Problem problem_of_read_only(const std::string& path) {
  const bool has_log = size_of(path + "-wal") > 0;
  return {
      ErrorKind::kRefused,
      std::string("it is on a read-only file system") + (has_log ? ", with changes in its WAL" : "") +
          ": even to read a database in WAL mode SQLite must write beside it",
      "set REMOTE_BACKUP_DIR to the directory where the app opens it; for a snapshot of a disk, mount it for "
      "writing, or copy the database with its -wal file to a directory that can be written to"};
}

// What the files beside the database say about a journal that is not applied, or about locks that are not
// seen.
std::optional<Problem> problem_of_locks(const SqliteError& error, const std::string& path) {
  const bool journal = exists(path + "-journal");
  if ((error.code() == SQLITE_READONLY || error.code() == SQLITE_CANTOPEN) && journal &&
      size_of(path + "-journal") > 0) {
    if (is_being_written(path + "-journal"))
      return locks_do_not_meet("somebody writes its journal, and holds no lock on it").problem();
    return Problem{
        ErrorKind::kRefused,
        "it has a hot journal: a program died while it was writing, and its change must be undone first",
        "start the app, or open the database once with sqlite3 on the server, then pull again"};
  }
  // SQLite wanted to roll back a journal that is gone by now.
  if (error.extended_code() == SQLITE_READONLY && !journal && access(path.c_str(), W_OK) == 0)
    return locks_do_not_meet("its journal comes and goes, and nobody holds a lock on it").problem();
  if (error.extended_code() == SQLITE_IOERR_SHMOPEN && exists(path + "-shm"))
    return locks_do_not_meet("a process has its shared memory open, and holds no lock on it").problem();
  return std::nullopt;
}

constexpr const char* kWhoLocks =
    "if that program sets PRAGMA locking_mode=EXCLUSIVE, set it to NORMAL there; else find its long write "
    "transaction, or pull again later";

}  // namespace

Problem problem_of_lock(const std::string& path, const std::string& said, std::uint64_t waited_us) {
  const std::string holder = lock_holder_of(path);
  return {ErrorKind::kBusy,
          (holder.empty() ? "another program" : holder) + " kept it locked for more than " +
              std::to_string(waited_us / 1'000'000) + " s (" + said + ")",
          kWhoLocks};
}

Problem problem_of(const SqliteError& error, const std::string& path) {
  const std::string said = error.what();
  const int code = error.code();
  if (is_out_of_descriptors(error.system_errno()))
    return {ErrorKind::kFailed, std::string("it cannot be opened: ") + std::strerror(error.system_errno()),
            kRaiseOpenFiles};
  if (auto problem = problem_of_locks(error, path)) return *problem;
  switch (code) {
    case SQLITE_NOTADB:  // the first 16 bytes were right, else require_own_header() had refused it
      return {ErrorKind::kCorrupt,
              "it begins like a SQLite database, but its header has values that SQLite never writes",
              "restore it from the last good snapshot; if another program reads it, name it in EXCLUDE"};
    case SQLITE_CORRUPT:
      return {ErrorKind::kCorrupt, "it is damaged (" + said + ")",
              "restore it from the last good snapshot; litepull list shows which that is"};
    case SQLITE_BUSY:
      return {ErrorKind::kBusy, "another program keeps it locked (" + said + ")", kWhoLocks};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      if (is_on_read_only_file_system(path)) return problem_of_read_only(path);
      return {ErrorKind::kRefused, "it cannot be opened (" + said + ")",
              "check that its owner may read and write it, its -wal and -shm files and its directory"};
    case SQLITE_NOMEM:
      return {ErrorKind::kFailed, "the server has no memory left to read it with",
              "free memory there, or raise the login's limits (ulimit -v, the cgroup's)"};
    case SQLITE_PROTOCOL:
      return {ErrorKind::kBusy, "its app and the agent kept blocking each other (" + said + ")",
              "pull again"};
    case SQLITE_FULL:
    case SQLITE_IOERR:
      if (error.extended_code() != SQLITE_IOERR_SHMSIZE && code != SQLITE_FULL)
        return {ErrorKind::kFailed, "reading it failed (" + said + ")",
                "look into the kernel's log there (dmesg): the disk may be failing"};
      return {ErrorKind::kFailed,
              "the disk is full, and the shared-memory file that reading it needs could not be made",
              "free some space on the server, or pull while the app runs"};
    default:
      break;
  }
  return {ErrorKind::kFailed, said, ""};
}

}  // namespace litepull
