#include "client/sandbox/recover.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/base/progress.h"
#include "client/sandbox/child.h"
#include "client/sandbox/hostile_database.h"
#include "client/store/store.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr std::size_t kMaxVerdictBytes = 64 << 10;
constexpr std::size_t kMaxErrorBytes = 1000;
constexpr std::uint64_t kRoomLeft = 64 << 20;
constexpr std::uint64_t kSlackBytes = 1 << 20;  // for a last page, and for the shared memory of the WAL
constexpr std::array kSidecars{"-wal", "-journal"};

std::uint64_t size_of(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("look at " + shown);
  return static_cast<std::uint64_t>(info.st_size);
}

// --- copying ---------------------------------------------------------------------------------------------

void copy_content(int from, const std::string& shown, int to, const std::string& shown_to,
                  const Cancel& cancel) {
  if (share_blocks(from, to)) return;
  Bytes buffer(kChunkBytes);
  for (std::size_t got; (got = read_some(from, buffer.data(), buffer.size(), shown)) > 0;) {
    cancel.throw_if_requested();
    write_all(to, buffer.data(), got, shown_to);
  }
}

// The files made in the target. The destructor removes all that were not kept.
class Made {
 public:
  explicit Made(const RecoverTarget& target) : target_(target) {}
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
  ~Made() {
    for (const std::string& name : names_) ::unlinkat(target_.dir_fd, name.c_str(), 0);
  }

  Fd create(const std::string& name) {
    Fd fd = open_at(target_.dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600,
                    target_.path + "/" + name);
    names_.push_back(name);
    return fd;
  }
  void expect(const std::string& name) { names_.push_back(name); }
  void keep(const std::string& name) { std::erase(names_, name); }

 private:
  const RecoverTarget& target_;
  std::vector<std::string> names_;
};

struct Source {
  std::string name;
  Fd fd;
  std::uint64_t bytes = 0;
};

std::vector<Source> open_sources(int dir_fd, const std::string& path, const std::string& name) {
  std::vector<Source> sources;
  sources.push_back({name, open_file(dir_fd, name, path), 0});
  for (const char* ending : kSidecars)
    if (Fd fd = open_sidecar(dir_fd, name, ending, path))
      sources.push_back({name + ending, std::move(fd), 0});
  for (Source& source : sources) source.bytes = size_of(source.fd.get(), path + "/" + source.name);
  return sources;
}

// A journal of a transaction over several databases names a file that the other journals name too. The
// journal is applied if that file exists. Here that cannot be known. And SQLite would look for the file of
// that name on this machine, and delete it (https://sqlite.org/fileformat2.html#the_rollback_journal,
// https://sqlite.org/atomiccommit.html#_deleting_the_super_journal).
void require_journal_of_its_own(const Source& journal, const std::string& shown) {
  static constexpr std::array<std::uint8_t, 8> kMagic{0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7};
  if (journal.bytes < kMagic.size()) return;
  std::array<std::uint8_t, 8> head{}, tail{};
  pread_all(journal.fd.get(), head.data(), head.size(), 0, shown);
  pread_all(journal.fd.get(), tail.data(), tail.size(), journal.bytes - tail.size(), shown);
  if (head[0] != 0 && tail == kMagic)
    throw Error(ErrorKind::kCorrupt,
                shown +
                    " is of a transaction over several databases, and whether that was committed is not "
                    "known here",
                "use another snapshot");
}

void require_room(const RecoverTarget& target, std::uint64_t bytes) {
  const std::uint64_t free = free_bytes_on(target.dir_fd, target.path);
  if (free < bytes + kRoomLeft)
    throw Error(ErrorKind::kFailed,
                fmt::format("a copy to work on needs {} in {}, and {} are free",
                            format_bytes(bytes + kRoomLeft), target.path, format_bytes(free)),
                "free some space on that disk, then run this again");
}

// --- in the child ----------------------------------------------------------------------------------------

void limit_file_size(std::uint64_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);  // SQLite then reports an error
  const rlimit both{bytes, bytes};
  setrlimit(RLIMIT_FSIZE, &both);
}

// The first statement applies a hot journal, or finds the WAL. The second one moves the WAL's content into
// the database. Closing then removes the WAL, because nobody else has the file open.
void make_whole(SQLite::Database& database) {
  harden(database);
  database.execAndGet("PRAGMA schema_version");
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

nlohmann::json verdict(std::string_view kind, const std::string& message) {
  return {{"kind", kind}, {"message", message}};
}

nlohmann::json recover_file(const std::string& path) {
  WatchedVfs vfs(sign_of_life());
  std::optional<SQLite::Database> database;
  try {
    database.emplace(vfs.open(path, SQLite::OPEN_READWRITE));
    make_whole(*database);
    return verdict("ok", "");
  } catch (const SQLite::Exception& error) {
    const int code = error.getErrorCode() & 0xFF;
    const bool too_large = database && sqlite3_system_errno(database->getHandle()) == EFBIG;
    if (too_large) return verdict("corrupt", "it would become larger than its copied files together");
    const bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    return verdict(damage ? "corrupt" : "failed", short_text(error.what(), kMaxErrorBytes));
  }
}

void recover_in_child(const std::string& path, const std::string& shown, std::uint64_t total_bytes,
                      const Cancel& cancel) {
  std::string said;
  try {
    said = run_child({"recover-file", path, std::to_string(total_bytes)}, kMaxVerdictBytes, cancel);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    throw Error(ErrorKind::kFailed, shown + " could not be made whole: " + error.message(), error.hint());
  }
  const nlohmann::json in = nlohmann::json::parse(said, nullptr, false);
  const std::string kind = in.is_object() ? in.value("kind", "") : "";
  if (kind == "ok") return;
  const std::string message = in.is_object() ? in.value("message", "") : "there was no result";
  if (kind == "corrupt") throw Error(ErrorKind::kCorrupt, shown + " is damaged: " + safe_text(message));
  throw Error(ErrorKind::kFailed, shown + " could not be made whole: " + safe_text(message));
}

// A WAL that is still there holds rows that the file lacks.
void require_alone(const RecoverTarget& target, const std::string& name) {
  for (const char* ending : kSidecars) {
    struct stat info {};
    const std::string sidecar = name + ending;
    if (::fstatat(target.dir_fd, sidecar.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_size > 0)
      throw Error(ErrorKind::kFailed, target.path + "/" + sidecar + " is still there after recovery");
  }
}

}  // namespace

std::uint64_t recover_database(int snapshot_dir_fd, const std::string& snapshot_path, const std::string& name,
                               const RecoverTarget& target, const Cancel& cancel) {
  const std::vector<Source> sources = open_sources(snapshot_dir_fd, snapshot_path, name);
  std::uint64_t total_bytes = kSlackBytes;
  for (const Source& source : sources) {
    total_bytes += source.bytes;
    if (source.name.ends_with("-journal"))
      require_journal_of_its_own(source, snapshot_path + "/" + source.name);
  }
  require_room(target, 2 * total_bytes - sources.front().bytes);

  const std::string path = target.path + "/" + name;
  Made made(target);
  for (const Source& source : sources) {
    const Fd copy = made.create(source.name);
    copy_content(source.fd.get(), snapshot_path + "/" + source.name, copy.get(),
                 target.path + "/" + source.name, cancel);
  }
  for (const char* ending : {"-wal", "-journal", "-shm"}) made.expect(name + ending);
  recover_in_child(path, snapshot_path + "/" + name, total_bytes, cancel);
  require_alone(target, name);

  const Fd file = open_at(target.dir_fd, name, O_RDONLY | O_NOFOLLOW, 0, path);
  fsync_fd(file.get(), path);
  fsync_fd(target.dir_fd, target.path);
  made.keep(name);
  return size_of(file.get(), path);
}

int recover_file_command(const std::string& path, std::uint64_t total_bytes) {
  limit_this_process(total_bytes, true);
  limit_file_size(total_bytes);
  fmt::print("{}\n", recover_file(path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}

}  // namespace litepull
