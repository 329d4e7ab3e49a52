#include "client/restore/placement.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::string_view kPrefix = ".litepull-restore-";
constexpr const char* kNew = "new";
constexpr const char* kOldInTheMaking = "old.part";
constexpr const char* kOld = "old";
constexpr const char* kSpent = "spent";
constexpr std::array<const char*, 3> kSidecars{"-wal", "-shm", "-journal"};

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

std::string parent_name(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

// The directory of `name` below `directory`, or nothing when that does not exist.
std::optional<Place> place_if_there(const Directory& directory, const std::string& name) {
  Fd dir = open_at(directory.fd, ".", kDirFlags, 0, directory.path);
  std::size_t from = 0;
  for (std::size_t slash; (slash = name.find('/', from)) != std::string::npos; from = slash + 1) {
    const std::string part = name.substr(from, slash - from);
    const std::string path = directory.path + "/" + name.substr(0, slash);
    const auto info = look_at_entry(dir.get(), part, path);
    if (!info) return std::nullopt;
    if (!is_file_type(*info, S_IFDIR))
      throw Error(ErrorKind::kRefused, path + " is not a directory",
                  "move it away, or take another directory");
    dir = open_at(dir.get(), part, kDirFlags, 0, path);
  }
  return Place{std::move(dir), name.substr(from)};
}

std::optional<struct stat> look_at_name(const Directory& directory, const std::string& name) {
  const auto place = place_if_there(directory, name);
  if (!place) return std::nullopt;
  return look_at_entry(place->dir.get(), place->leaf, directory.path + "/" + name);
}

void remove_name(const Directory& directory, const std::string& name) {
  if (const auto place = place_if_there(directory, name))
    unlink_entry(place->dir.get(), place->leaf, 0, directory.path + "/" + name);
}

void link_name(const Directory& from, const Directory& to, const std::string& name) {
  const Place source = find_place(from.fd, name, false, from.path);
  const Place target = find_place(to.fd, name, true, to.path);
  const int linked = retry_eintr([&] {
    return ::linkat(source.dir.get(), source.leaf.c_str(), target.dir.get(), target.leaf.c_str(), 0);
  });
  if (linked == 0) return;
  const bool cannot = errno == EPERM || errno == ENOTSUP || errno == EXDEV || errno == EMLINK;
  if (!cannot) throw_errno("link " + from.path + "/" + name + " to " + to.path);
  throw Error(ErrorKind::kRefused,
              from.path + "/" + name + " cannot be put aside safely: no second name can be made for it there",
              "move it away with its -wal, -shm and -journal by hand, then run this without --force");
}

// The directories of these names and all above them, inner ones first.
void sync_dirs_of(const Directory& directory, const std::vector<std::string>& names) {
  std::set<std::string, std::greater<>> dirs{""};
  for (std::string dir : names)
    while (!(dir = parent_name(dir)).empty()) dirs.insert(dir);
  for (const std::string& dir : dirs)
    if (const auto place = place_if_there(directory, dir.empty() ? "." : dir + "/."))
      fsync_fd(place->dir.get(), directory.path + "/" + dir);
}

std::vector<std::string> files_below(int dir_fd, const std::string& prefix, const std::string& shown) {
  std::vector<std::string> files;
  for (const std::string& leaf : names_in(dir_fd, shown)) {
    const auto info = look_at_entry(dir_fd, leaf, shown + "/" + leaf);
    if (!info || !is_file_type(*info, S_IFDIR)) {
      files.push_back(prefix + leaf);
      continue;
    }
    const Fd below = open_at(dir_fd, leaf, kDirFlags, 0, shown + "/" + leaf);
    for (std::string& file : files_below(below.get(), prefix + leaf + "/", shown + "/" + leaf))
      files.push_back(std::move(file));
  }
  return files;
}

// The database that a file of a group belongs to.
std::string database_of(const std::string& file) {
  for (const std::string_view ending : kSidecars)
    if (file.ends_with(ending)) return file.substr(0, file.size() - ending.size());
  return file;
}

// True when all files of these groups in DIR are the same files as in `old`.
bool nothing_else_came(const Directory& directory, const Directory& old,
                       const std::vector<std::string>& files) {
  std::set<std::string> databases;
  for (const std::string& file : files) databases.insert(database_of(file));
  for (const std::string& database : databases)
    for (const std::string& name : group_in(directory, database)) {
      const auto here = look_at_name(directory, name), there = look_at_name(old, name);
      if (!here || !there || !same_file(*here, *there)) return false;
    }
  return true;
}

// Sidecars first, so that a database is never there without its own.
void link_back(const Directory& directory, const Directory& old, std::vector<std::string> files) {
  std::stable_partition(files.begin(), files.end(),
                        [](const auto& file) { return database_of(file) != file; });
  for (const std::string& file : files)
    if (!look_at_name(directory, file)) link_name(old, directory, file);
  sync_dirs_of(directory, files);
}

void rename_within(int dir_fd, const char* from, const char* to, const std::string& shown) {
  rename_over(dir_fd, from, dir_fd, to, "rename " + shown + "/" + from + " to " + to);
}

// Ends it: nobody puts back what is in `spent`. If the flush fails, a crash may leave the name `old`. The
// next restore then keeps the files without need.
void retire_old(int work_fd, const std::string& work) {
  rename_within(work_fd, kOld, kSpent, work);
  (void)error_of([&] { fsync_fd(work_fd, work); });
}

// False when something else has taken the place of a group.
bool put_back(const Directory& directory, int work_fd, const std::string& work) {
  const Fd fd = open_at(work_fd, kOld, kDirFlags, 0, work + "/" + kOld);
  const Directory old{fd.get(), work + "/" + kOld};
  const std::vector<std::string> files = files_below(old.fd, "", old.path);
  if (!nothing_else_came(directory, old, files)) return false;
  link_back(directory, old, files);
  retire_old(work_fd, work);
  return true;
}

void remove_work(const Directory& directory, const std::string& name) {
  remove_below(directory.fd, name, look_at(directory.fd, directory.path).st_dev, directory.path + "/" + name);
}

std::string settle(const Directory& directory, const std::string& name) {
  const std::string work = directory.path + "/" + name;
  const Fd dir = open_at(directory.fd, name, kDirFlags, 0, work);
  const bool changed = look_at_entry(dir.get(), kOld, work).has_value();
  if (changed && !put_back(directory, dir.get(), work))
    return "a restore was interrupted here: the databases from before it are kept, whole, in " + work + "/" +
           kOld + "; remove that directory once they are not needed";
  const auto failure = error_of([&] { remove_work(directory, name); });
  if (failure) return failure->message();
  return changed ? "a restore was interrupted here; the databases that it had moved aside were put back" : "";
}

}  // namespace

std::vector<std::string> group_in(const Directory& directory, const std::string& database) {
  std::vector<std::string> group;
  for (const char* ending : {"", kSidecars[0], kSidecars[1], kSidecars[2]}) {
    const std::string name = database + ending;
    const auto info = look_at_name(directory, name);
    if (!info) continue;
    if (!is_file_type(*info, S_IFREG))
      throw Error(ErrorKind::kRefused, directory.path + "/" + name + " is not a regular file",
                  "move it away, or take another directory");
    group.push_back(name);
  }
  return group;
}

Placement::Placement(const Directory& directory, std::string name)
    : directory_(directory), name_(std::move(name)), path_(directory.path + "/" + name_) {}

// Delegates, so that the destructor runs when this throws.
Placement::Placement(const Directory& directory) : Placement(directory, std::string(kPrefix) + random_hex()) {
  if (!make_dir(directory_.fd, name_, path_))
    throw Error(ErrorKind::kFailed, "cannot make the directory " + path_ + ": it exists");
  dir_ = open_at(directory_.fd, name_, kDirFlags, 0, path_);
  make_dir(dir_.get(), kNew, path_ + "/" + kNew);
  new_ = open_at(dir_.get(), kNew, kDirFlags, 0, path_ + "/" + kNew);
}

Placement::~Placement() {
  // A destructor cannot report a failure. The next restore tries again.
  (void)error_of([&] {
    if (dir_ && !look_at_entry(dir_.get(), kOld, path_)) remove_work(directory_, name_);
  });
}

void Placement::put_in_place(const std::vector<std::string>& databases, bool replace) {
  sync_tree(new_.get(), path_ + "/" + kNew);
  const auto failure = error_of([&] {
    if (replace) {
      set_aside(databases);
      clear(databases);
    }
    for (const std::string& database : databases) place(database);
    sync_dirs_of(directory_, databases);
    if (replace) retire_old(dir_.get(), path_);
  });
  if (failure) throw Error(failure->kind(), failure->message() + "; " + undo(), failure->hint());
}

void Placement::set_aside(const std::vector<std::string>& databases) {
  make_dir(dir_.get(), kOldInTheMaking, path_ + "/" + kOldInTheMaking);
  const Fd old = open_at(dir_.get(), kOldInTheMaking, kDirFlags, 0, path_ + "/" + kOldInTheMaking);
  const Directory aside{old.get(), path_ + "/" + kOldInTheMaking};
  for (const std::string& database : databases) {
    keep_owner(database);
    for (const std::string& name : group_in(directory_, database)) link_name(directory_, aside, name);
  }
  sync_tree(old.get(), aside.path);
  fsync_fd(dir_.get(), path_);
  fsync_fd(directory_.fd, directory_.path);
  rename_within(dir_.get(), kOldInTheMaking, kOld, path_);
  fsync_fd(dir_.get(), path_);
}

void Placement::keep_owner(const std::string& database) const {
  const auto old = look_at_name(directory_, database);
  if (!old || ::geteuid() != 0) return;
  const Place file = find_place(new_.get(), database, false, path_ + "/" + kNew);
  const int given = retry_eintr([&] {
    return ::fchownat(file.dir.get(), file.leaf.c_str(), old->st_uid, old->st_gid, AT_SYMLINK_NOFOLLOW);
  });
  if (given != 0) throw_errno("give " + path_ + "/" + kNew + "/" + database + " to its owner");
}

void Placement::clear(const std::vector<std::string>& databases) {
  for (const std::string& database : databases)
    for (const std::string& name : group_in(directory_, database)) remove_name(directory_, name);
  sync_dirs_of(directory_, databases);
}

void Placement::place(const std::string& database) {
  if (!group_in(directory_, database).empty())
    throw Error(ErrorKind::kRefused,
                directory_.path + "/" + database + " has appeared since the restore began",
                "stop the app, then run this again");
  const Place from = find_place(new_.get(), database, false, path_ + "/" + kNew);
  const Place to = find_place(directory_.fd, database, true, directory_.path);
  rename_new(from.dir.get(), from.leaf, to.dir.get(), to.leaf,
             "put " + directory_.path + "/" + database + " in place");
  placed_.push_back(database);
}

// Returns what is in DIR now, for a message.
std::string Placement::undo() {
  bool restored = true;
  const auto failure = error_of([&] {
    for (const std::string& database : placed_) remove_name(directory_, database);
    placed_.clear();
    if (look_at_entry(dir_.get(), kOld, path_)) restored = put_back(directory_, dir_.get(), path_);
  });
  if (!failure && restored) return directory_.path + " is as it was";
  return "the old databases are kept, whole, in " + path_ + "/" + kOld;
}

std::vector<std::string> settle_interrupted(const Directory& directory) {
  std::vector<std::string> notes;
  for (const std::string& name : names_in(directory.fd, directory.path)) {
    const std::string path = directory.path + "/" + name;
    const auto info = look_at_entry(directory.fd, name, path);
    const bool ours = info && is_file_type(*info, S_IFDIR) && info->st_uid == ::geteuid();
    if (!name.starts_with(kPrefix) || !ours) continue;
    if (std::string note = settle(directory, name); !note.empty()) notes.push_back(std::move(note));
  }
  return notes;
}

}  // namespace litepull
