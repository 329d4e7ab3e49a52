// The app's directory on the workstation, `$LOCAL_BACKUP_ROOT/$APP_NAME`: where a run stages and publishes
// its snapshot, and where list, cleanup and retention find what is there. Layout, modes and write order are
// in client/store/SNAPSHOT_FORMAT.md.
//
// All work goes through a directory descriptor that the Store keeps, and never through a symbolic link.
// Whatever changes the directory asks for the AppLock as proof that it is held. Staging borrows its Store;
// a Store belongs to one thread at a time. Failures are Error with the path named; kBusy when another run
// holds the lock, kRefused when the directory is not safe to work in or a name is not ours to touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/store/manifest.h"
#include "client/store/snapshot_name.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {

// Where a snapshot came from, as one configuration sees it; client/config/origin.h decides.
enum class Origin {
  kHere,       // from the server and directory that it names, or nothing says otherwise
  kMoved,      // from where the app was before it moved, as the user said with --moved
  kElsewhere,  // foreign: from another server, another directory, or of another app
};

// A directory that is ours: it holds a manifest of this app, or just what the old script left.
struct Snapshot {
  std::string name;
  SnapshotTime time;
  std::optional<Manifest> manifest;
  std::uint64_t size_bytes = 0;  // of its files
  std::uint64_t disk_bytes = 0;  // what they occupy, clones counted in full
  std::size_t database_count = 0;
  Verified verified = Verified::kSkipped;
  Origin origin = Origin::kHere;  // until mark_origins() has looked

  bool foreign() const { return origin == Origin::kElsewhere; }
  bool old_script() const { return !manifest; }
  // Where it stands among the others: greater for what was taken later, whatever the clock said then.
  std::int64_t order() const { return manifest && manifest->order > 0 ? manifest->order : time.unix_s; }
};

// Has a snapshot's name and is not ours: never touched.
struct Stranger {
  std::string name;
  std::string reason;
  bool damaged = false;  // a snapshot all the same, it seems, that cannot be read or whose manifest is gone
};

struct Listing {
  std::vector<Snapshot> snapshots;  // in the order in which they were taken, the newest last
  std::vector<Stranger> strangers;  // by name
};

struct Sweep {
  std::vector<std::string> removed;
  std::vector<std::string> left;  // could not be removed: why, with the path
};

// Held until it dies. The kernel gives it up when the process dies, so there is no stale lock; the file
// `.lock` stays. A forked child shares it: it must exec or _exit, never unwind past this object.
class AppLock {
 public:
  AppLock(AppLock&&) noexcept = default;
  AppLock& operator=(AppLock&&) = delete;
  ~AppLock();

 private:
  friend class Store;
  explicit AppLock(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

class Store;

// A snapshot that is visible from now on, and on disk.
struct Published {
  std::string name;
  std::unique_ptr<Error>
      unflushed;  // it could neither be made sure of nor taken back: a power cut may undo it
};

// A snapshot in the making, `.partial-*`, invisible to everybody. Removed with all it holds when it dies
// unpublished, unless it is kept for the next run to go on with; so is what a killed process leaves behind.
// The Store must outlive it.
class Staging {
 public:
  Staging(Staging&& other) noexcept = default;
  Staging& operator=(Staging&&) = delete;
  ~Staging();

  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }

  // The names of the databases that an earlier run left here, whole or in part.
  const std::vector<std::string>& leftovers() const { return leftovers_; }
  std::uint64_t bytes() const;  // of the files in it
  // From now on it outlives this object.
  void keep() { kept_ = true; }

  // A file, 0600, open for reading and writing, empty at first unless an earlier run left something of it.
  // `name` is a database's, its directories are made. kRefused when is_database_name says no. The writer
  // makes it durable (fsync_fd) before publish.
  Fd open_file(const std::string& name) const;
  // An empty file for the page hashes of a database, see client/store/hash_file.h.
  Fd create_hash_file(const std::string& name) const;

  // Takes back a database's files, and its directories if they are now empty.
  void discard_file(const std::string& name) const;

 private:
  friend class Store;
  Staging(const Store& store, std::string name, std::string path, Fd dir)
      : store_(&store), name_(std::move(name)), path_(std::move(path)), dir_(std::move(dir)) {}
  void discard(const std::string& path) const;

  const Store* store_;
  std::string name_;
  std::string path_;
  Fd dir_;  // empty once published or moved from
  std::vector<std::string> leftovers_;
  bool kept_ = false;
};

// A directory of this process, `.work-*`, for copies that are gone when it dies. It is locked by itself, so
// that a run that has the app's lock sweeps up what killed processes left, and leaves alone what is in use:
// work may take hours, and a backup must not wait for it.
class WorkDir {
 public:
  WorkDir(WorkDir&& other) noexcept = default;
  WorkDir& operator=(WorkDir&&) = delete;
  ~WorkDir();

  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }

 private:
  friend class Store;
  WorkDir(const Store& store, std::string name, std::string path, Fd dir)
      : store_(&store), name_(std::move(name)), path_(std::move(path)), dir_(std::move(dir)) {}

  const Store* store_;
  std::string name_;
  std::string path_;
  Fd dir_;  // empty once moved from
};

class Store {
 public:
  enum class Missing {
    kCreate,  // make the app's directory, and those above it, 0700
    kEmpty,   // there is nothing to list and nothing to remove
  };

  // `root` may be a symbolic link, the app's directory may not, and must belong to this user.
  Store(std::string root, const std::string& app, Missing missing);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  bool exists() const { return static_cast<bool>(dir_); }
  const std::string& path() const { return path_; }
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

  // Whether there is anything of that name: a snapshot may be removed while it is worked on.
  bool is_there(const std::string& name) const;

  // Waits no longer than lock_holder() takes to look. Precondition for this and all that needs the lock:
  // exists().
  AppLock lock() const;
  // The process that says it holds the lock, "" when it does not say; nullopt when nobody holds it.
  std::optional<std::string> lock_holder() const;

  // The record of the last backup, `.last-run.json` (client/nightly/run_record.h): replaced in one step.
  void write_record(const AppLock& lock, const std::string& text) const;
  // nullopt when there is none. kRefused when it is not a small regular file.
  std::optional<std::string> read_record() const;

  // The key of this app's digests (common/wire/digest.h), from `.key`; made when there is none, or none that
  // is whole.
  DigestKey digest_key(const AppLock& lock) const;
  std::optional<DigestKey> digest_key_if_there() const;
  // What the file system stamps on files now, in seconds, found by touching the lock's file: on a network
  // mount that may be another machine's clock. nullopt when that is not there or cannot be touched.
  std::optional<std::int64_t> file_system_time() const;

  // Needs no lock: what is removed meanwhile is left out.
  Listing list() const;

  // The directory of a snapshot, for write_manifest, read_manifest and open_file.
  Fd open_snapshot(const std::string& name) const;

  Staging create_staging(const AppLock& lock) const;
  // The newest one that an interrupted run left, without what is no database in it; else a new one.
  Staging resume_staging(const AppLock& lock) const;

  // The current second, or when its name is taken the next free one, slept for: never later than the clock.
  SnapshotTime choose_free_time(const AppLock& lock, const std::function<std::int64_t()>& now_unix_s,
                                const std::function<void(int)>& sleep_ms) const;

  // Publishes under exactly this time, which the manifest must name already. When it throws nothing was
  // published and `staging` still owns its directory.
  Published publish(const AppLock& lock, Staging&& staging, SnapshotTime time) const;

  // Needs no lock. Precondition: exists(). The Store must outlive it.
  WorkDir create_work_dir() const;

  // Removes what interrupted runs left: real directories named `.partial-*` and `.trash-*`, but `spared`, and
  // those named `.work-*` that nobody works in.
  Sweep sweep(const AppLock& lock, const Staging* spared = nullptr) const;

  // kRefused when the name is not one that list() calls a snapshot. Once it returns or is interrupted after
  // its first step, the snapshot is gone from every list; the rest is the next sweep's.
  void remove_snapshot(const AppLock& lock, const std::string& name) const;

 private:
  friend class Staging;
  friend class WorkDir;
  void replace(const char* name, const char* new_name, std::string_view content) const;
  void open_app_dir(int root_fd, const std::string& app);
  Fd take_over(const std::string& work_dir) const;  // its lock, or nothing while somebody works in it
  std::variant<Snapshot, Stranger> examine(const std::string& name, SnapshotTime time) const;
  std::variant<Snapshot, Stranger> examine_dir(Snapshot snapshot) const;
  void remove_tree(const std::string& name) const;
  void rename_dir(const std::string& from, const std::string& to) const;

  std::string app_;
  std::string path_;
  Fd dir_;
  dev_t device_ = 0;  // nothing is followed to another one
};

// The newest last, by Snapshot::order, then by time and name.
void sort_as_taken(std::vector<Snapshot>& snapshots);
// The order of a snapshot that is taken now, at `unix_s`, beside those of the listing: its time, unless one
// that is there stands at that time or later, because the clock was once ahead.
std::int64_t next_order(const Listing& listing, std::int64_t unix_s);

// A file of a published snapshot for reading; `name` as in its manifest. Regular files only, no links.
Fd open_file(int snapshot_dir_fd, const std::string& name, const std::string& shown);
// What lies beside a database as its name and `ending` ("-wal", "-journal"), or nothing. kCorrupt when it is
// not a regular file.
Fd open_sidecar(int snapshot_dir_fd, const std::string& name, const std::string& ending,
                const std::string& shown);
// The paths of all that is below a snapshot's directory and no directory itself, sorted.
std::vector<std::string> files_below(int snapshot_dir_fd, const std::string& shown);
// The names of the databases in a directory of the old script, sorted.
std::vector<std::string> old_script_databases(int snapshot_dir_fd, const std::string& shown);
// The page hashes of that database, or nothing: a snapshot is whole without them.
Fd open_hash_file(int snapshot_dir_fd, const std::string& name, const std::string& shown);

}  // namespace litepull
