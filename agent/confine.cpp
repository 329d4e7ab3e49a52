#include "agent/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "agent/discover.h"
#include "agent/storage_owner.h"
#include "common/database_name.h"
#include "common/disk.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

enum class Starter { kRoot, kAnother, kNotSaid };

// The caller of sudo, doas or pkexec cannot unset the variables that they set.
Starter starter() {
  if (getuid() != geteuid()) return Starter::kAnother;  // this is a set-user-ID copy
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? std::string_view() : std::string_view(text);
  };
  bool root = false;
  for (const auto& [name, roots] : {std::pair("SUDO_UID", "0"), {"PKEXEC_UID", "0"}, {"DOAS_USER", "root"}}) {
    if (value(name).empty()) continue;
    if (value(name) != roots) return Starter::kAnother;
    root = true;
  }
  if (!root && !value("SUDO_USER").empty()) return Starter::kAnother;
  return root ? Starter::kRoot : Starter::kNotSaid;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

bool is_absolute_and_plain(const std::string& path) {
  const std::vector<std::string> parts = parts_of(path);
  return path.starts_with('/') && path.size() <= kMaxPathBytes &&
         std::find(parts.begin(), parts.end(), "..") == parts.end();
}

[[noreturn]] void refuse_link(const std::string& shown) {
  throw Error(
      ErrorKind::kRefused, shown + " is a link, or no directory, and sudo's rule is for a real one",
      "print the real path with: readlink -f " + shown + "; name that in REMOTE_BACKUP_DIR and in the rule");
}

// Opens the next directory on a path on which nothing may be a link.
Fd step(int from, const std::string& name, const std::string& shown) {
  Fd next(openat(from, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (next) return next;
  if (errno == ENOTDIR || errno == ELOOP) refuse_link(shown);
  throw Error(ErrorKind::kConfiguration, "the storage directory: " + shown + ": " + std::strerror(errno),
              "check REMOTE_BACKUP_DIR; for a named volume it is the volume's mountpoint on the host");
}

struct stat status_of(const Fd& fd, const std::string& shown) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) throw_errno("look at " + shown);
  return status;
}

// Removes what the caller has set for this process: limits that would end it in the middle of a commit, a
// priority with which it would hold locks for long, and a terminal from which it could be stopped.
void forget_the_caller() {
  clearenv();
  for (const auto limit : {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA}) {
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(limit, &none);
  }
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) std::signal(signal, SIG_IGN);
  const sched_param normal{};
  sched_setscheduler(0, SCHED_OTHER, &normal);
  setpriority(PRIO_PROCESS, 0, 0);
}

bool ends_with_one(std::string_view text, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](auto ending) { return text.ends_with(ending); });
}

}  // namespace

void require_own_rights() {
  if (geteuid() != 0 || starter() != Starter::kAnother) return;
  throw Error(ErrorKind::kRefused,
              "the agent was started as root by another user, and nothing says which directory that is for",
              "let the rule end in --storage and the directory, as the message of litepull check has it");
}

Confinement::Confinement(const std::string& directory)
    : shown_(printable(directory)),
      parts_(parts_of(directory)),
      lent_(geteuid() == 0 && starter() != Starter::kRoot) {
  if (!is_absolute_and_plain(directory) || parts_.empty())
    throw Error(ErrorKind::kConfiguration, "--storage " + shown_ + " is not an absolute path without '..'",
                "write REMOTE_BACKUP_DIR as an absolute path, and put the same into sudo's rule");
  Fd at(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) throw_errno("open /");
  std::string shown;
  for (const std::string& part : parts_) {
    above_.push_back(status_of(at, shown));
    shown += "/" + printable(part);
    at = step(at.get(), part, shown);
  }
  if (fchdir(at.get()) != 0) throw_errno("enter " + shown_);
}

void Confinement::give_up_root() {
  if (!lent_) return;
  const Owner owner = owner_of_storage(shown_);
  std::string shown;
  for (std::size_t i = 0; i < above_.size(); ++i) {
    if (i > 0) shown += "/" + printable(parts_[i - 1]);
    if (is_controlled_by(above_[i], owner, true)) continue;
    throw Error(ErrorKind::kRefused,
                (shown.empty() ? "/" : shown) +
                    " can be changed by others than root and the databases' owner, user " +
                    std::to_string(owner.uid) + ": they could put another directory in the place of " +
                    shown_,
                "set SERVER_USER to the databases' owner, or move the storage below a directory of root's");
  }
  forget_the_caller();
  litepull::give_up_root(owner);
}

void Confinement::enter(const std::string& requested) const {
  const std::vector<std::string> parts = parts_of(requested);
  if (!is_absolute_and_plain(requested) || parts.size() < parts_.size() ||
      !std::equal(parts_.begin(), parts_.end(), parts.begin()))
    throw Error(
        ErrorKind::kRefused,
        "the agent was started for " + shown_ + " alone, and " + printable(requested) + " is not below it",
        "set REMOTE_BACKUP_DIR to that directory, or allow the other one by a rule of its own");
  Fd at = open_path(".", O_PATH | O_DIRECTORY);
  std::string shown = shown_;
  for (std::size_t i = parts_.size(); i < parts.size(); ++i) {
    shown += "/" + printable(parts[i]);
    at = step(at.get(), parts[i], shown);
  }
  if (fchdir(at.get()) != 0 || access(".", R_OK) != 0)
    throw Error(ErrorKind::kRefused,
                "user " + std::to_string(geteuid()) + ", the databases' owner, may not list " + shown,
                "chmod u+rx that directory");
  require_local_file_system(shown);
}

std::uint64_t Confinement::bounded_wal_growth(std::uint64_t requested_bytes, std::uint64_t wal_bytes) const {
  const std::optional<DiskSpace> disk = lent_ ? disk_space(".") : std::nullopt;
  if (!disk) return requested_bytes;
  const std::uint64_t half = (disk->free_bytes + wal_bytes) / 2;
  return std::min(requested_bytes, half - std::min(half, wal_bytes));
}

void enter_requested(const Confinement* confinement, const std::string& directory) {
  if (confinement != nullptr)
    confinement->enter(directory);
  else
    enter_directory(directory);
}

std::optional<Problem> why_not_made(const std::string& name) {
  const std::string lower = folded_name(name);
  const bool is_hidden = lower.starts_with('.') || lower.find("/.") != std::string::npos;
  if (!is_hidden && is_database_name(name) && ends_with_one(lower, {".sqlite3", ".sqlite", ".db", ".db3"}))
    return std::nullopt;
  return Problem{
      ErrorKind::kRefused,
      "it is missing, and with sudo's rule only files are made that end in .sqlite3, .sqlite, .db or .db3 "
      "and are not hidden",
      "let the app make it, empty, then run this again; or set SERVER_USER to root or its owner"};
}

}  // namespace litepull
