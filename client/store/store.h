// The app's directory on the workstation, `$LOCAL_BACKUP_ROOT/$APP_NAME`. A run stages and publishes its
// snapshot there, and list, cleanup and retention find the snapshots there. Layout, modes and write order are
// in client/store/SNAPSHOT_FORMAT.md.
//
// All work goes through a directory descriptor that the Store holds, and never through a symbolic link.
// Functions that change the directory take the AppLock as proof that it is held. Staging and WorkDir borrow
// their Store. A Store belongs to one thread at a time. Failures are Error with the path: kBusy when another
// run holds the lock, kRefused when the directory is not safe to work in or a name is not ours to touch.
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

#include "client/store/app_lock.h"
#include "client/store/manifest.h"
#include "client/store/snapshot_files.h"
#include "client/store/snapshot_name.h"
#include "client/store/staging.h"
#include "client/store/work_dir.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/digest.h"

namespace litepull {

// Where a snapshot came from, as one configuration sees it; client/config/origin.h decides.
enum class Origin {
  kHere,       // from the server and directory that it names, or from an unknown one
  kMoved,      // from where the app was before it moved, as the user said with --moved
  kElsewhere,  // foreign: from another server, another directory, or of another app
};

// A directory that is ours: it holds a manifest of this app, or only what the old script left.
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
  // Its place among the others: a later snapshot has a greater one, whatever the clock said then.
  std::int64_t order() const { return manifest && manifest->order > 0 ? manifest->order : time.unix_s; }
};

// A directory entry with a snapshot's name that is not ours. It is never touched.
struct Stranger {
  std::string name;
  std::string reason;
  bool damaged = false;  // it seems to be a snapshot that cannot be read, or whose manifest is gone
};

struct Listing {
  std::vector<Snapshot> snapshots;  // in the order in which they were taken, the newest last
  std::vector<Stranger> strangers;  // by name
};

struct Sweep {
  std::vector<std::string> removed;
  std::vector<std::string> left;  // why each of the others could not be removed, with its path
};

// A snapshot that is visible from now on.
struct Published {
  std::string name;
  // Null when it is on disk. Else it could be neither flushed nor taken back, and a power cut may undo it.
  std::unique_ptr<Error> unflushed;
};

class Store {
 public:
  enum class Missing {
    kCreate,  // make the app's directory and those above it, 0700
    kEmpty,   // there is nothing to list and nothing to remove
  };

  // `root` may be a symbolic link, the app's directory may not, and must belong to this user.
  Store(std::string root, const std::string& app, Missing missing);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  bool exists() const { return static_cast<bool>(dir_); }
  const std::string& path() const { return path_; }
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

  // False when nothing has that name any more: a snapshot may be removed while somebody works on it.
  bool is_there(const std::string& name) const;

  // Waits only as long as another process may take to look (lock_holder). Precondition here and wherever the
  // lock is needed: exists().
  AppLock lock() const;
  // The process id of the lock's holder, or "" when it is not known; nullopt when nobody holds it.
  std::optional<std::string> lock_holder() const;

  // Replaces the record of the last backup, `.last-run.json` (client/nightly/run_record.h), in one step.
  void write_record(const AppLock& lock, const std::string& text) const;
  // nullopt when there is none. kRefused when it is not a small regular file.
  std::optional<std::string> read_record() const;

  // The key of this app's digests (common/wire/digest.h), from `.key`. A new one is made when the file is
  // missing or has another size.
  DigestKey digest_key(const AppLock& lock) const;
  std::optional<DigestKey> digest_key_if_there() const;
  // The time that the file system gives to files now, in Unix seconds. It is found by touching the lock's
  // file; on a network mount it may be another machine's clock. nullopt when that file is missing or cannot
  // be touched.
  std::optional<std::int64_t> file_system_time() const;

  // Needs no lock. A snapshot that is removed meanwhile is left out.
  Listing list() const;

  // The directory of a snapshot, for write_manifest, read_manifest and open_file.
  Fd open_snapshot(const std::string& name) const;

  Staging create_staging(const AppLock& lock) const;
  // The newest one that an interrupted run left, with only its databases; else a new one.
  Staging resume_staging(const AppLock& lock) const;

  // How much interrupted runs left for the next one to resume.
  std::uint64_t partial_bytes(const AppLock& lock) const;

  // The current second. If its name is taken, sleeps until the next free one: the time is never ahead of the
  // clock.
  SnapshotTime choose_free_time(const AppLock& lock, const std::function<std::int64_t()>& now_unix_s,
                                const std::function<void(int)>& sleep_ms) const;

  // Publishes under exactly this time, which the manifest must name already. If it throws, nothing was
  // published and `staging` still owns its directory.
  Published publish(const AppLock& lock, Staging&& staging, SnapshotTime time) const;

  // Needs no lock. Precondition: exists(). The Store must outlive it.
  WorkDir create_work_dir() const;

  // Removes what interrupted runs left: the directories named `.partial-*` and `.trash-*` except `spared`,
  // and those named `.work-*` that no process uses.
  Sweep sweep(const AppLock& lock, const Staging* spared = nullptr) const;

  // kRefused when list() does not call it a snapshot. After its first step the snapshot is in no list any
  // more; if it is interrupted then, the next sweep removes the rest.
  void remove_snapshot(const AppLock& lock, const std::string& name) const;

 private:
  friend class Staging;
  friend class WorkDir;
  void replace(const char* name, const char* new_name, std::string_view content) const;
  void open_app_dir(int root_fd, const std::string& app);
  Fd take_over(const std::string& work_dir) const;  // with its lock; empty while a process uses it
  std::variant<Snapshot, Stranger> examine(const std::string& name, SnapshotTime time) const;
  std::variant<Snapshot, Stranger> examine_dir(Snapshot snapshot) const;
  void remove_tree(const std::string& name) const;
  void rename_dir(const std::string& from, const std::string& to) const;

  std::string app_;
  std::string path_;
  Fd dir_;
  dev_t device_ = 0;  // no search leaves it
};

// The newest last, by Snapshot::order, then by time and name.
void sort_as_taken(std::vector<Snapshot>& snapshots);
// The order of a snapshot that is taken now, at `unix_s`. It is its time, or one more than the greatest order
// of the listing if that is later, because the clock was once ahead.
std::int64_t next_order(const Listing& listing, std::int64_t unix_s);

}  // namespace litepull
