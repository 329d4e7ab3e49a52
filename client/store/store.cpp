#include "client/store/store.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/base/file_digest.h"
#include "client/store/git_ignore.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr const char* kRecordName = ".last-run.json";
constexpr const char* kNewRecordName = ".last-run.json.new";
constexpr const char* kKeyName = ".key";
constexpr const char* kNewKeyName = ".key.new";
constexpr std::size_t kMaxRecordBytes = 64 * 1024;
constexpr std::string_view kPartialPrefix = ".partial-";
constexpr std::string_view kTrashPrefix = ".trash-";
constexpr std::string_view kWorkPrefix = ".work-";
constexpr int kNameWaitMs = 20;

std::string why_not_ours(const Manifest& manifest, const std::string& app, const std::string& name) {
  if (manifest.app != app) return "its manifest is of the app " + printable(manifest.app);
  if (manifest.snapshot != name) return "its manifest is of the snapshot " + printable(manifest.snapshot);
  return {};
}

std::size_t count_databases(const Manifest& manifest) {
  return static_cast<std::size_t>(std::count_if(manifest.databases.begin(), manifest.databases.end(),
                                                [](const auto& database) { return !database.error; }));
}

void require_app_name(const std::string& app) {
  if (app.empty() || app == "." || app == ".." || app.find('/') != std::string::npos || !is_clean_utf8(app))
    throw Error(ErrorKind::kConfiguration, printable(app) + " cannot be an app's directory",
                "use letters, digits, - and _ in APP_NAME");
}

// Snapshots hold production's data, so they are kept out of git. A directory with anything else in it is left
// to the user. A failure to write .gitignore does not stop the run.
void make_root(const std::string& root, const std::string& app) {
  make_dirs(root);
  error_of([&] {
    const std::vector<std::string> names = names_in(open_path(root, kDirFlags).get(), root);
    if (names.empty() || names == std::vector{app}) keep_out_of_git(root, "*");
  });
}

}  // namespace

Store::Store(std::string root, const std::string& app, Missing missing) : app_(app) {
  require_app_name(app);
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  path_ = (root == "/" ? "" : root) + "/" + app;
  if (missing == Missing::kCreate) make_root(root, app);
  const Fd root_dir(retry_eintr([&] { return ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!root_dir && errno == ENOENT && missing == Missing::kEmpty) return;
  if (!root_dir) throw_errno("open " + root);
  if (missing == Missing::kCreate && make_dir(root_dir.get(), app, path_)) fsync_fd(root_dir.get(), root);
  open_app_dir(root_dir.get(), app);
}

void Store::open_app_dir(int root_fd, const std::string& app) {
  const auto entry = look_at_entry(root_fd, app, path_);
  if (!entry) return;
  if (!is_file_type(*entry, S_IFDIR))
    throw Error(ErrorKind::kRefused, path_ + " is not a real directory",
                "move it away, or point LOCAL_BACKUP_ROOT (which may be a link) somewhere else");
  if (entry->st_uid != ::geteuid())
    throw Error(ErrorKind::kRefused, path_ + " belongs to another user", "run litepull as its owner");
  dir_ = open_at(root_fd, app, kDirFlags, 0, path_);
  device_ = look_at(dir_.get(), path_).st_dev;
}

AppLock Store::lock() const {
  invariant(exists(), "a store that does not exist cannot be locked");
  return AppLock::take(dir_.get(), app_, path_of(kLockName));
}

std::optional<std::string> Store::lock_holder() const {
  if (!exists() || !is_there(kLockName)) return std::nullopt;
  return lock_holder_in(dir_.get(), path_of(kLockName));
}

void Store::write_record(const AppLock&, const std::string& text) const {
  replace(kRecordName, kNewRecordName, text);
}

// In one step: a kill or a full disk leaves the old file.
void Store::replace(const char* name, const char* new_name, std::string_view content) const {
  const std::string shown = path_of(name);
  unlink_entry(dir_.get(), new_name, 0, path_of(new_name));
  Fd fd = open_at(dir_.get(), new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kFileMode, shown);
  write_all(fd.get(), content.data(), content.size(), shown);
  fsync_fd(fd.get(), shown);
  close_written(std::move(fd), shown);
  rename_over(dir_.get(), new_name, dir_.get(), name, "replace " + shown);
}

DigestKey Store::digest_key(const AppLock&) const {
  if (const auto key = digest_key_if_there()) return *key;
  const DigestKey key = new_digest_key();
  replace(kKeyName, kNewKeyName, {reinterpret_cast<const char*>(key.data()), key.size()});
  return key;
}

// A file that is not a key of ours counts as none. The next pull then only reads more.
std::optional<DigestKey> Store::digest_key_if_there() const {
  if (!exists() || !is_there(kKeyName)) return std::nullopt;
  const std::string shown = path_of(kKeyName);
  const Fd fd(retry_eintr(
      [&] { return ::openat(dir_.get(), kKeyName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
  if (!fd) return std::nullopt;
  const struct stat info = look_at(fd.get(), shown);
  DigestKey key;
  if (!is_file_type(info, S_IFREG) || info.st_size != static_cast<off_t>(key.size())) return std::nullopt;
  pread_all(fd.get(), key.data(), key.size(), 0, shown);
  return key;
}

std::optional<std::string> Store::read_record() const {
  const std::string shown = path_of(kRecordName);
  if (!exists() || !is_there(kRecordName)) return std::nullopt;
  const Fd fd = open_at(dir_.get(), kRecordName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, shown);
  const struct stat info = look_at(fd.get(), shown);
  if (!is_file_type(info, S_IFREG) || info.st_size > static_cast<off_t>(kMaxRecordBytes))
    throw Error(ErrorKind::kRefused, shown + " is not a record of ours", "remove it");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  pread_all(fd.get(), text.data(), text.size(), 0, shown);
  return text;
}

std::optional<std::int64_t> Store::file_system_time() const {
  if (!exists()) return std::nullopt;
  const Fd fd(retry_eintr(
      [&] { return ::openat(dir_.get(), kLockName, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
  struct stat info {};
  if (!fd || ::futimens(fd.get(), nullptr) != 0 || ::fstat(fd.get(), &info) != 0) return std::nullopt;
  return std::int64_t{info.st_mtime};
}

Listing Store::list() const {
  Listing listing;
  if (!exists()) return listing;
  for (const std::string& name : names_in(dir_.get(), path_)) {
    const std::optional<SnapshotTime> time = parse_snapshot_name(name);
    if (!time) continue;
    auto entry = examine(name, *time);
    if (!is_there(name)) continue;  // removed by another run while we looked
    if (auto* snapshot = std::get_if<Snapshot>(&entry)) listing.snapshots.push_back(std::move(*snapshot));
    if (auto* stranger = std::get_if<Stranger>(&entry)) listing.strangers.push_back(std::move(*stranger));
  }
  sort_as_taken(listing.snapshots);
  return listing;
}

std::variant<Snapshot, Stranger> Store::examine(const std::string& name, SnapshotTime time) const {
  // One entry that cannot be read must not hide the others. It becomes a stranger, and the error its reason.
  try {
    Snapshot snapshot;
    snapshot.name = name;
    snapshot.time = time;
    return examine_dir(std::move(snapshot));
  } catch (const Error& error) {
    const bool unreadable = error.kind() == ErrorKind::kCorrupt || error.kind() == ErrorKind::kFailed;
    return Stranger{name, error.message(), unreadable};
  }
}

std::variant<Snapshot, Stranger> Store::examine_dir(Snapshot snapshot) const {
  const std::string shown = path_of(snapshot.name);
  const auto entry = look_at_entry(dir_.get(), snapshot.name, shown);
  if (!entry || !is_file_type(*entry, S_IFDIR))
    return Stranger{snapshot.name, "it is not a real directory", false};
  if (entry->st_dev != device_) return Stranger{snapshot.name, "it is on another disk", false};
  const Fd dir = open_snapshot(snapshot.name);
  const std::vector<std::string> names = names_in(dir.get(), shown);
  if (names.empty()) return Stranger{snapshot.name, "it is empty", false};
  snapshot.manifest = read_manifest(dir.get(), shown);
  const std::string reason = snapshot.manifest ? why_not_ours(*snapshot.manifest, app_, snapshot.name)
                                               : why_not_old_script(dir.get(), names, shown);
  const bool ours = std::find(names.begin(), names.end(), kHashesName) != names.end();
  if (!reason.empty()) return Stranger{snapshot.name, reason, !snapshot.manifest && ours};
  snapshot.database_count =
      snapshot.manifest
          ? count_databases(*snapshot.manifest)
          : static_cast<std::size_t>(std::count_if(names.begin(), names.end(), is_database_file));
  snapshot.verified = snapshot.manifest ? snapshot.manifest->verified : Verified::kSkipped;
  const FileSizes sizes = sizes_below(dir.get(), device_, shown);
  snapshot.size_bytes = sizes.bytes;
  snapshot.disk_bytes = sizes.disk_bytes;
  return snapshot;
}

Fd Store::open_snapshot(const std::string& name) const {
  return open_at(dir_.get(), name, kDirFlags, 0, path_of(name));
}

Staging Store::create_staging(const AppLock&) const {
  const std::string name = std::string(kPartialPrefix) + random_hex();
  if (!make_dir(dir_.get(), name, path_of(name)))
    throw Error(ErrorKind::kFailed, "cannot make the directory " + path_of(name) + ": it exists");
  return Staging(*this, name, path_of(name), open_snapshot(name));
}

Staging Store::resume_staging(const AppLock& lock) const {
  std::string newest;
  time_t newest_time = 0;
  for (const std::string& name : names_in(dir_.get(), path_)) {
    const auto entry = look_at_entry(dir_.get(), name, path_of(name));
    if (!name.starts_with(kPartialPrefix) || !entry || !is_file_type(*entry, S_IFDIR)) continue;
    if (entry->st_dev != device_ || entry->st_uid != ::geteuid() || entry->st_mtime < newest_time) continue;
    newest = name;
    newest_time = entry->st_mtime;
  }
  if (newest.empty()) return create_staging(lock);
  try {
    Staging staging(*this, newest, path_of(newest), open_snapshot(newest));
    staging.keep_only_databases(device_);
    return staging;
  } catch (const Error&) {
    return create_staging(lock);  // the sweep will report what is wrong with it
  }
}

std::uint64_t Store::partial_bytes(const AppLock&) const {
  std::uint64_t bytes = 0;
  for (const std::string& name : names_in(dir_.get(), path_)) {
    const auto entry = look_at_entry(dir_.get(), name, path_of(name));
    if (name.starts_with(kPartialPrefix) && entry && is_file_type(*entry, S_IFDIR))
      bytes += sizes_below(open_snapshot(name).get(), device_, path_of(name)).bytes;
  }
  return bytes;
}

// A sweep may lock the new directory first and remove it. Then another one is made.
WorkDir Store::create_work_dir() const {
  for (;;) {
    const std::string name = std::string(kWorkPrefix) + random_hex(), path = path_of(name);
    if (!make_dir(dir_.get(), name, path)) continue;
    Fd dir(retry_eintr([&] { return ::openat(dir_.get(), name.c_str(), kDirFlags | O_CLOEXEC); }));
    if (!dir && errno == ENOENT) continue;
    if (!dir) throw_errno("open " + path);
    if (retry_eintr([&] { return ::flock(dir.get(), LOCK_EX); }) != 0) throw_errno("lock " + path);
    if (is_there(name)) return WorkDir(*this, name, path, std::move(dir));
  }
}

Fd Store::take_over(const std::string& work_dir) const {
  Fd dir = open_at(dir_.get(), work_dir, kDirFlags, 0, path_of(work_dir));
  if (retry_eintr([&] { return ::flock(dir.get(), LOCK_EX | LOCK_NB); }) != 0) return {};
  return dir;
}

bool Store::is_there(const std::string& name) const {
  return look_at_entry(dir_.get(), name, path_of(name)).has_value();
}

SnapshotTime Store::choose_free_time(const AppLock&, const std::function<std::int64_t()>& now_unix_s,
                                     const std::function<void(int)>& sleep_ms) const {
  SnapshotTime time = local_snapshot_time(now_unix_s());
  while (is_there(format_snapshot_name(time))) {
    sleep_ms(kNameWaitMs);
    time = local_snapshot_time(now_unix_s());
  }
  return time;
}

Published Store::publish(const AppLock&, Staging&& staging, SnapshotTime time) const {
  const std::string name = format_snapshot_name(time);
  const auto manifest = read_manifest(staging.fd(), staging.path());
  invariant(manifest && why_not_ours(*manifest, app_, name).empty(),
            "published with another snapshot's manifest");
  sync_tree(staging.fd(), staging.path());
  rename_dir(staging.name_, name);
  auto unflushed = error_of([&] { fsync_fd(dir_.get(), path_); });
  // The caller will report that nothing was published, so the rename is taken back.
  if (unflushed && ::renameat(dir_.get(), name.c_str(), dir_.get(), staging.name_.c_str()) == 0)
    throw Error(*unflushed);
  staging.dir_.reset();
  return {name, std::move(unflushed)};
}

void Store::rename_dir(const std::string& from, const std::string& to) const {
  rename_new(dir_.get(), from, dir_.get(), to, "rename " + path_of(from) + " to " + to);
}

Sweep Store::sweep(const AppLock&, const Staging* spared) const {
  Sweep sweep;
  for (const std::string& name : names_in(dir_.get(), path_)) {
    const bool work = name.starts_with(kWorkPrefix);
    if (!work && !name.starts_with(kPartialPrefix) && !name.starts_with(kTrashPrefix)) continue;
    if (spared != nullptr && name == spared->name_) continue;
    const auto entry = look_at_entry(dir_.get(), name, path_of(name));
    if (!entry || !is_file_type(*entry, S_IFDIR)) continue;
    // A directory that cannot be removed must not stop the backup. It is reported instead.
    try {
      const Fd taken = work ? take_over(name) : Fd();
      if (work && !taken) continue;
      remove_tree(name);
      sweep.removed.push_back(name);
    } catch (const Error& error) {
      sweep.left.push_back(error.message());
    }
  }
  return sweep;
}

void Store::remove_snapshot(const AppLock&, const std::string& name) const {
  const std::optional<SnapshotTime> time = parse_snapshot_name(name);
  if (!time) throw Error(ErrorKind::kRefused, printable(name) + " is not a snapshot's name");
  const auto entry = examine(name, *time);
  if (const auto* stranger = std::get_if<Stranger>(&entry))
    throw Error(ErrorKind::kRefused, path_of(name) + " is not removed: " + stranger->reason);
  const std::string trash = std::string(kTrashPrefix) + name + "-" + random_hex();
  rename_dir(name, trash);
  fsync_fd(dir_.get(), path_);
  remove_tree(trash);
}

void Store::remove_tree(const std::string& name) const {
  remove_below(dir_.get(), name, device_, path_of(name));
}

void sort_as_taken(std::vector<Snapshot>& snapshots) {
  auto key = [](const Snapshot& one) { return std::tuple(one.order(), one.time.unix_s, one.name); };
  std::sort(snapshots.begin(), snapshots.end(),
            [&](const Snapshot& a, const Snapshot& b) { return key(a) < key(b); });
}

std::int64_t next_order(const Listing& listing, std::int64_t unix_s) {
  std::int64_t order = unix_s;
  for (const Snapshot& snapshot : listing.snapshots) order = std::max(order, snapshot.order() + 1);
  return std::min(order, kMaxOrder);
}

}  // namespace litepull
