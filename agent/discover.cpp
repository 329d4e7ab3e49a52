#include "agent/discover.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include "agent/link_target.h"
#include "agent/unmatched.h"
#include "common/database_name.h"
#include "common/disk.h"
#include "common/glob.h"
#include "common/posix.h"
#include "common/unmatched_text.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxPathForSqlite =
    480;                               // SQLite's POSIX layer has room for 512 bytes, sidecars included
constexpr std::size_t kMaxNamed = 20;  // hidden directories that are named; the rest are counted

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

struct FileSystem {
  std::uint32_t magic;
  const char* name;
  bool network;
};

// Magic numbers from statfs(2) and the kernel's linux/magic.h.
constexpr FileSystem kFileSystems[] = {
    {0x6969, "NFS", true},        {0x517B, "SMB", true},          {0xFF534D42, "SMB", true},
    {0xFE534D42, "SMB", true},    {0x5346414F, "AFS", true},      {0x6B414653, "AFS", true},
    {0x00C36400, "CephFS", true}, {0x01021997, "9p", true},       {0x0BD00BD0, "Lustre", true},
    {0x01161970, "GFS2", true},   {0x7461636F, "OCFS2", true},    {0xEF53, "ext4", false},
    {0x58465342, "xfs", false},   {0x9123683E, "btrfs", false},   {0x2FC12FC1, "zfs", false},
    {0xF2F52010, "f2fs", false},  {0x01021994, "tmpfs", false},   {0x794C7630, "overlay", false},
    {0x65735546, "fuse", false},  {0xCA451A4E, "bcachefs", false}};

const FileSystem* known_file_system(std::uint32_t magic) {
  const auto found = std::find_if(std::begin(kFileSystems), std::end(kFileSystems),
                                  [&](const FileSystem& known) { return known.magic == magic; });
  return found == std::end(kFileSystems) ? nullptr : &*found;
}

std::optional<Problem> problem_of_file(const struct stat& status, const std::string& name,
                                       const char* network) {
  auto refused = [](const std::string& what, const std::string& hint) {
    return Problem{ErrorKind::kRefused, what, hint};
  };
  const std::string exclude = "name it in EXCLUDE if it is not to be backed up";
  if (!is_clean_utf8(name)) return refused("its name is not printable UTF-8", "rename it, or " + exclude);
  if (!is_database_name(name))
    return refused("its name is one that a snapshot needs for something else", "rename it, or " + exclude);
  if (name.size() > kMaxPathForSqlite) return refused("its path is too long for SQLite", exclude);
  if (network != nullptr)
    return refused("it is on " + std::string(network) + ", where SQLite's locks cannot be trusted", exclude);
  if (S_ISLNK(status.st_mode)) return problem_of_link(name);
  if (!S_ISREG(status.st_mode)) return refused("it is not a regular file", exclude);
  if (status.st_nlink != 1)
    return refused("it has a second hard link, under which SQLite would not find its WAL or journal",
                   "remove the other link, or " + exclude);
  if (status.st_size == 0)
    return Problem{ErrorKind::kCorrupt, "it is empty (0 bytes)",
                   "restore or remove it on the server, or " + exclude};
  return std::nullopt;
}

// The names in a backup root, as client/store/SNAPSHOT_FORMAT.md says. These names alone tell that a
// directory is ours. A timestamp may be the name of an app's own directory, so such a directory must hold a
// manifest too.
constexpr const char* kWorkNames[] = {".partial-*", ".trash-*", ".work-*"};
constexpr const char* kSnapshotName =
    "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9][-+][0-9][0-9][0-9][0-9]";

bool has_file(int directory_fd, const char* base) {
  struct stat status {};
  return fstatat(directory_fd, base, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

void sort_by_name(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.name < b.name; });
}

// A directory that may hide databases.
struct Hidden {
  std::string name;
  Reach reach = Reach::kNone;
  Problem problem;
};

struct Scanned {
  std::vector<Candidate> candidates;  // sorted by name
  std::vector<Hidden> hidden;
};

class Scan {
 public:
  explicit Scan(const Request& request) : request_(request) {}
  // Finds only those of `names`, which must outlive this.
  Scan(const Request& request, const std::set<std::string>& names) : request_(request), names_(&names) {}

  Scanned run() {
    walk(open_path(".", O_RDONLY | O_DIRECTORY), "");
    sort_by_name(found_.candidates);
    refuse_twins();
    return std::move(found_);
  }

 private:
  // A snapshot must have the same content on every file system, so names may not differ only by case.
  void refuse_twins() {
    std::map<std::string, std::string> names;
    for (Candidate& candidate : found_.candidates) {
      if (candidate.problem) continue;
      const auto [first, is_new] = names.try_emplace(folded_name(candidate.name), candidate.name);
      if (is_new) continue;
      candidate.problem = {
          ErrorKind::kRefused,
          "its name differs only in upper and lower case from that of " + printable(first->second),
          "rename one of them, or name one in EXCLUDE"};
    }
  }

  void walk(Fd fd, const std::string& prefix) {
    const DirectoryStream directory(fdopendir(fd.get()));
    if (!directory) throw_errno("read the storage directory's " + printable(prefix));
    fd.release();  // closedir closes it
    const char* network = network_of(dirfd(directory.get()));
    while (const dirent* entry = next_entry(directory.get(), prefix)) {
      const std::string base = entry->d_name;
      if (base == "." || base == "..") continue;
      visit(dirfd(directory.get()), base, prefix + base, entry->d_type, network);
    }
  }

  static const dirent* next_entry(DIR* directory, const std::string& prefix) {
    errno = 0;
    const dirent* entry = readdir(directory);
    if (entry == nullptr && errno != 0) throw_errno("read the storage directory's " + printable(prefix));
    return entry;
  }

  // An entry whose name says enough is not looked at, because a storage directory may hold millions of files.
  void visit(int dir_fd, const std::string& base, const std::string& name, unsigned char type,
             const char* network) {
    const bool excluded = glob_matches_any(request_.exclude, name);
    const bool selected = !excluded && !is_sidecar(name) && is_asked_for(name);
    const Reach reach = type == DT_REG ? Reach::kNone : reach_below(name);
    if (!selected && reach == Reach::kNone) return;
    struct stat status {};
    if (fstatat(dir_fd, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;  // it was removed after readdir
      throw_errno("look at the storage directory's " + printable(name));
    }
    if (S_ISDIR(status.st_mode)) {
      if (reach != Reach::kNone) enter(dir_fd, base, name, reach);
    } else if (selected || (!excluded && reach != Reach::kNone && leads_to_directory(dir_fd, base, status))) {
      add(name, status, network);
    }
  }

  bool is_asked_for(const std::string& name) const {
    return names_ != nullptr ? names_->contains(name) : glob_matches_any(request_.databases, name);
  }

  Reach reach_below(const std::string& name) const {
    if (names_ != nullptr) {
      const auto below = names_->lower_bound(name + "/");
      return below != names_->end() && below->starts_with(name + "/") ? Reach::kByName : Reach::kNone;
    }
    const Reach reach = glob_reach(request_.databases, name);
    return reach != Reach::kNone && glob_covers(request_.exclude, name) ? Reach::kNone : reach;
  }

  void add(const std::string& name, const struct stat& status, const char* network) {
    if (found_.candidates.size() >= kMaxDatabases)
      throw Error(ErrorKind::kRefused, "more than " + std::to_string(kMaxDatabases) + " databases match",
                  "split them over several configurations with DATABASES");
    Candidate candidate{name, "./" + name, status.st_uid, status.st_gid, status.st_dev, status.st_ino, {}};
    candidate.problem = problem_of_file(status, name, network);
    found_.candidates.push_back(std::move(candidate));
  }

  // A link to a directory is not followed. But databases that a pattern would find behind it must not be left
  // out silently.
  static bool leads_to_directory(int dir_fd, const std::string& base, const struct stat& status) {
    struct stat target {};
    return S_ISLNK(status.st_mode) && fstatat(dir_fd, base.c_str(), &target, 0) == 0 &&
           S_ISDIR(target.st_mode);
  }

  void enter(int dir_fd, const std::string& base, const std::string& name, Reach reach) {
    if (is_work_directory(base)) return;
    if (name.size() >= kMaxPathForSqlite)
      return hide(name, reach, "its path is too long for SQLite", "shorten it");
    Fd fd(openat(dir_fd, base.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR)) return;  // it was replaced meanwhile
    if (!fd && errno != EACCES && errno != EPERM)
      throw_errno("read the storage directory's " + printable(name));
    if (!fd || faccessat(fd.get(), ".", X_OK, AT_EACCESS) != 0)
      return hide(name, reach, "user " + std::to_string(geteuid()) + " may not read it",
                  "allow that user to read it");
    if (holds_snapshots(fd.get(), base))
      return hide(name, reach, "it holds litepull's own snapshots", "keep LOCAL_BACKUP_ROOT elsewhere");
    walk(std::move(fd), name + "/");
  }

  void hide(const std::string& name, Reach reach, const std::string& why, const std::string& remedy) {
    const std::string hint = remedy + ", or name it in EXCLUDE: '" + glob_for(name) + "/**'";
    found_.hidden.push_back({name, reach, {ErrorKind::kRefused, why, hint}});
  }

  const Request& request_;
  const std::set<std::string>* names_ = nullptr;
  Scanned found_;
};

Candidate candidate_of(const Hidden& hidden) {
  Candidate candidate;
  candidate.name = hidden.name;
  candidate.path = "./" + hidden.name;
  candidate.problem = hidden.problem;
  return candidate;
}

Notice notice_of(const Hidden& hidden) {
  return {"databases in " + printable(hidden.name) +
              ", if there are any, are not backed up: " + hidden.problem.message,
          hidden.problem.hint};
}

// A hidden directory that a pattern spells out becomes a candidate with a problem; any other becomes a
// notice.
void tell_of_hidden(Scanned& found, Notices& notices) {
  std::size_t more = 0;
  for (const Hidden& hidden : found.hidden) {
    if (hidden.reach == Reach::kByName)
      found.candidates.push_back(candidate_of(hidden));
    else if (notices.size() < kMaxNamed)
      notices.push_back(notice_of(hidden));
    else
      ++more;
  }
  sort_by_name(found.candidates);
  if (more > 0) notices.push_back({"the same is true of " + std::to_string(more) + " more directories", ""});
}

std::uint32_t file_system_magic(const std::string& path) {
  struct statfs status {};
  if (statfs(path.c_str(), &status) != 0) throw_errno("look at the file system of " + path);
  return static_cast<std::uint32_t>(static_cast<unsigned long>(status.f_type) & 0xFFFFFFFFUL);
}

// Otherwise the snapshots would be backed up too, and double with each run.
void require_storage() {
  char path[PATH_MAX] = {};
  const std::string here = getcwd(path, sizeof path) != nullptr ? path : "";
  if (holds_snapshots(AT_FDCWD, here.substr(here.find_last_of('/') + 1)))
    throw Error(ErrorKind::kConfiguration,
                "the storage directory " + printable(here) +
                    " holds litepull's own snapshots, not an app's databases",
                "set REMOTE_BACKUP_DIR to the app's storage directory");
}

// Throws an error that says what is there instead.
[[noreturn]] void refuse_nothing(const Request& request, const Notices& notices) {
  const std::string nothing = "no file in " + printable(request.directory) + " matches DATABASES";
  const Unmatched others = find_unmatched(request);
  if (others.any())
    throw Error(ErrorKind::kConfiguration, nothing + "; databases that are there: " + names_of(others),
                "set " + databases_line({}, others));
  throw Error(ErrorKind::kConfiguration, nothing,
              (notices.empty() ? "" : notices.front().message + "; ") +
                  "list the directory on the server and adjust REMOTE_BACKUP_DIR, DATABASES or EXCLUDE");
}

std::string login_directory() {
  const char* home = std::getenv("HOME");
  return home != nullptr ? home : ".";
}

}  // namespace

bool is_sidecar(const std::string& name) {
  return ends_with_any(name, {"-wal", "-shm", "-journal"});
}

bool is_work_directory(const std::string& base) {
  return std::any_of(std::begin(kWorkNames), std::end(kWorkNames),
                     [&](const char* pattern) { return glob_matches(pattern, base); });
}

bool holds_snapshots(int directory_fd, const std::string& base) {
  return (glob_matches(kSnapshotName, base) && has_file(directory_fd, "manifest.json")) ||
         (has_file(directory_fd, ".lock") && has_file(directory_fd, ".last-run.json"));
}

// On these file systems, SQLite's locks on this machine have no effect on other machines.
const char* network_of(int directory_fd) {
  struct statfs status {};
  if (fstatfs(directory_fd, &status) != 0) throw_errno("look at the storage directory's file system");
  const FileSystem* on =
      known_file_system(static_cast<std::uint32_t>(static_cast<unsigned long>(status.f_type) & 0xFFFFFFFFUL));
  return on != nullptr && on->network ? on->name : nullptr;
}

void enter_directory(const std::string& directory) {
  std::string path = directory;
  if (path == "~" || path.starts_with("~/")) path = login_directory() + path.substr(1);
  // Both rights are needed: a directory that can be entered may still hide its names.
  if (chdir(path.c_str()) != 0 || access(".", R_OK) != 0) {
    const int code = errno;
    throw Error(
        ErrorKind::kConfiguration, "the storage directory " + printable(path) + ": " + std::strerror(code),
        code == EACCES
            ? "user " + std::to_string(geteuid()) +
                  " may not read it (Docker's volumes are root's): set REMOTE_SUDO=yes, or SERVER_USER "
                  "to root or to the directory's owner"
            : "check REMOTE_BACKUP_DIR; for a named volume it is the volume's mountpoint on the host");
  }
  require_local_file_system(printable(path));
}

void require_local_file_system(const std::string& shown) {
  const FileSystem* on = known_file_system(file_system_magic("."));
  if (on != nullptr && on->network)
    throw Error(ErrorKind::kRefused,
                shown + " is on " + on->name + ", where SQLite's locks cannot be trusted",
                "run the pull against the machine whose disk it is");
}

std::string file_system_name(const std::string& path) {
  const std::uint32_t magic = file_system_magic(path);
  if (const FileSystem* known = known_file_system(magic)) return known->name;
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", magic);
  return text;
}

std::vector<Candidate> discover(const Request& request, Notices& notices) {
  require_storage();
  Scanned found = Scan(request).run();
  tell_of_hidden(found, notices);
  if (found.candidates.empty()) refuse_nothing(request, notices);
  return std::move(found.candidates);
}

std::vector<Candidate> discover(const Request& request) {
  Notices notices;
  return discover(request, notices);
}

std::vector<Candidate> databases_at_the_top() {
  Request request;
  request.databases = {"*.sqlite3"};
  return Scan(request).run().candidates;
}

std::vector<Candidate> find_databases(const std::vector<std::string>& names) {
  const std::set<std::string> wanted(names.begin(), names.end());
  Scanned found = Scan({}, wanted).run();
  if (!found.hidden.empty()) {
    const Hidden& first = found.hidden.front();
    throw Error(first.problem.kind, printable(first.name) + " on the server: " + first.problem.message,
                "look at that directory on the server, then run this again");
  }
  std::erase_if(found.candidates,
                [&](const Candidate& candidate) { return !wanted.contains(candidate.name); });
  return std::move(found.candidates);
}

}  // namespace litepull
