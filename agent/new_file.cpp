#include "agent/new_file.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "agent/beneath.h"
#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/spool.h"
#include "agent/sqlite.h"
#include "common/disk.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kHiddenPrefix = ".litepull-new-";
constexpr mode_t kMode = 0600;

// The path is walked part by part, because none may be a link.
Fd open_parent(const std::string& name) {
  Fd directory = open_path(".", O_RDONLY | O_DIRECTORY);
  for (std::size_t begin = 0, end; (end = name.find('/', begin)) != std::string::npos; begin = end + 1) {
    const std::string part = name.substr(begin, end - begin);
    const int next = openat(directory.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
      throw Error(
          ErrorKind::kRefused,
          "the directory that it was in, " + printable(name.substr(0, end)) + ", is not there any more",
          "make that directory on the server, for the app's user, then run this again");
    directory = Fd(next);
  }
  return directory;
}

bool is_there(int directory_fd, const std::string& name) {
  struct stat status {};
  return fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

// SQLite would apply a WAL or a journal of an earlier database to the new one.
void require_free(int directory_fd, const std::string& base) {
  if (is_there(directory_fd, base))
    throw Error(ErrorKind::kRefused, "a file of its name has appeared on the server meanwhile",
                "look at what made it, then run this again");
  for (const char* ending : {"-wal", "-journal", "-shm"})
    if (is_there(directory_fd, base + ending))
      throw Error(ErrorKind::kRefused,
                  "it is missing, but " + printable(base + ending) +
                      " of an earlier database is still there: SQLite would apply it to the new one",
                  "stop the app and move that file away, then run this again");
}

mode_t mode_of_siblings() {
  for (const Candidate& candidate : databases_at_the_top()) {
    struct stat status {};
    if (!candidate.problem && lstat(candidate.path.c_str(), &status) == 0) return status.st_mode & 0666;
  }
  return kMode;
}

// Removes the hidden files that no process has locked any more.
void sweep(int directory_fd) {
  const int copy = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const DirectoryStream directory(copy < 0 ? nullptr : fdopendir(copy));
  if (!directory) return;
  std::vector<std::string> left;
  while (const dirent* entry = readdir(directory.get()))
    if (std::string(entry->d_name).starts_with(kHiddenPrefix)) left.push_back(entry->d_name);
  for (const std::string& name : left) {
    const Fd file(openat(directory_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (file && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      unlinkat(directory_fd, name.c_str(), 0);
  }
}

std::string new_hidden_name() {
  return std::string(kHiddenPrefix) + random_hex();
}

void fill(int fd, const Image& image, const std::string& shown) {
  constexpr std::uint32_t kAtOnceBytes = 1 << 20;
  Bytes block;
  for (std::uint32_t first = 1; first <= image.pages();) {
    const std::uint32_t count = std::min(kAtOnceBytes / image.page_size(), image.pages() - first + 1);
    image.read(first, count, block);
    write_all(fd, block.data(), block.size(), shown);
    first += count;
  }
  fsync_fd(fd, shown);
}

// Never replaces what has the name. A file system that cannot do this in one step does it in two. When the
// agent is killed between them, the sweep of the next run does the second one.
bool rename_to_free(int directory_fd, const std::string& from, const std::string& to) {
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE, renameat2(2)
  if (syscall(SYS_renameat2, directory_fd, from.c_str(), directory_fd, to.c_str(), kNoReplace) == 0)
    return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  return linkat(directory_fd, from.c_str(), directory_fd, to.c_str(), 0) == 0 &&
         unlinkat(directory_fd, from.c_str(), 0) == 0;
}

void require_room(int fd, const Image& image) {
  const std::uint64_t needed = std::uint64_t{image.pages()} * image.page_size();
  const std::uint64_t available = bytes_free_to_use(fd);
  if (needed > available)
    throw Error(ErrorKind::kRefused,
                "making it needs " + std::to_string((needed >> 20) + 1) +
                    " MiB on the disk of the storage directory, which has " +
                    std::to_string(available >> 20) + " MiB left beside what stays for the app",
                "free some space there, then run this again; nothing was changed on the server");
}

// Encodes a path for a URI (https://sqlite.org/uri.html).
std::string percent_encoded(const std::string& path) {
  std::string encoded;
  for (const char c : path) {
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/._-", c) != nullptr;
    encoded += plain ? std::string(1, c) : std::string(code);
  }
  return encoded;
}

std::uint32_t number(const Connection& connection, const char* sql) {
  Statement value(connection.get(), sql);
  return value.step() ? static_cast<std::uint32_t>(value.integer()) : 0;
}

// Has SQLite open the file as one that nobody changes, so that it creates nothing beside it and takes no
// lock.
void open_as_database(const std::string& path, const struct stat& status, const Image& image) {
  const GuardVfs guard;
  Candidate candidate;
  candidate.path = "file:" + percent_encoded(path) + "?immutable=1";
  candidate.device = status.st_dev;
  candidate.inode = status.st_ino;
  const Connection connection =
      open_candidate(candidate, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, GuardVfs::kName);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  number(connection, "PRAGMA schema_version");  // compares the header's number of pages with the file's
  execute(connection.get(),
          "PRAGMA writable_schema=ON");  // a schema that this SQLite cannot parse is no problem here
  if (number(connection, "PRAGMA page_count") != image.pages() ||
      number(connection, "PRAGMA page_size") != image.page_size())
    throw SqliteError(SQLITE_NOTADB, "it has another number or size of pages");
  number(connection, "SELECT count(*) FROM sqlite_schema");
}

}  // namespace

NewFile::NewFile(const std::string& name, const Image& image)
    : shown_(printable(name)), directory_(open_parent(name)), base_(name.substr(name.find_last_of('/') + 1)) {
  sweep(directory_.get());
  require_free(directory_.get(), base_);
  const std::string hidden = new_hidden_name();
  file_ = open_at(directory_.get(), hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kMode, shown_);
  hidden_ = hidden;
  try {
    if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) throw_errno("lock the new " + shown_);
    if (fchmod(file_.get(), mode_of_siblings()) != 0) throw_errno("set the mode of " + shown_);
    require_room(file_.get(), image);
    fill(file_.get(), image, shown_);
    require_database("./" + name.substr(0, name.size() - base_.size()) + hidden_, image);
  } catch (const Error&) {
    unlinkat(directory_.get(), hidden_.c_str(), 0);
    throw;
  }
}

NewFile::~NewFile() {
  if (!hidden_.empty()) unlinkat(directory_.get(), hidden_.c_str(), 0);
}

void NewFile::require_database(const std::string& path, const Image& image) const {
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) throw_errno("look at the new " + shown_);
  try {
    open_as_database(path, status, image);
  } catch (const SqliteError& error) {
    throw Error(ErrorKind::kCorrupt, shown_ + ": SQLite does not open the new file: " + error.what(),
                "check the snapshot with litepull verify; nothing was changed on the server");
  }
}

void NewFile::publish() {
  require_free(directory_.get(), base_);
  if (!rename_to_free(directory_.get(), hidden_, base_)) {
    if (errno == EEXIST) require_free(directory_.get(), base_);
    throw_errno("give " + shown_ + " its name");
  }
  hidden_.clear();
  fsync_fd(directory_.get(), shown_);
}

}  // namespace litepull
