// What is to be restored: the databases of one snapshot that a user chose, and how each is taken out of it,
// proven. First step of every restore, whatever it restores to.
//
// The snapshot's files are only read, through the descriptor that this object keeps; no lock is needed, since
// a snapshot that is removed meanwhile is an error like any other. What the manifest says is held against the
// bytes. The Store must outlive it. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/store/store.h"

namespace litepull {

// The snapshot that `word` means (client/store/select_snapshot.h), of those that are no strangers: one that
// is named and cannot be read is Error{kRefused} with the reason.
const Snapshot& select_restorable(const Listing& listing, const std::string& word, std::int64_t now_unix_s);

struct RestoreChoice {
  std::vector<std::string> databases;  // by name; empty: all that the snapshot has
  bool allow_failed = false;           // also those that did not pass their check, as they are
};

// How it is known that the restored bytes are a sound database.
enum class Proof {
  kChecksum,   // they are the bytes that passed the check when the snapshot was verified
  kIntegrity,  // they were checked now
  kNone,       // they did not pass, and the user wants them all the same
};

struct RestoredDatabase {
  std::string name;
  std::uint64_t bytes = 0;
  std::string xxh128;
  Proof proof = Proof::kNone;
  std::vector<std::string> problems;    // of a proof that failed
  std::vector<std::string> unchecked;   // of a proof: parts that only the app can judge
  std::vector<Manifest::Table> tables;  // row counts
};

class RestoreSource {
 public:
  // Throws Error{kConfiguration} for a name that the snapshot has not, kRefused for a database that is
  // missing from it or did not pass its check, with the hint which snapshot to take.
  RestoreSource(const Store& store, const Listing& listing, const Snapshot& snapshot,
                const RestoreChoice& choice);

  const std::string& snapshot() const { return snapshot_; }
  const std::string& path() const { return path_; }
  bool old_script() const { return old_script_; }
  std::vector<std::string> names() const;
  // Databases that the server had and the snapshot lacks, when all were asked for: why, for people.
  const std::vector<std::string>& missing() const { return missing_; }

  // Fills `dir_fd`, a directory of the caller's (absolute path `dir`) that nobody else writes to, with the
  // chosen databases: files 0600, in directories 0700, all of them and the files on disk (the directories are
  // not). Blocks are shared with the snapshot where the file system can do that; for the others there must be
  // room. Throws Error{kCorrupt} when a file is not what the manifest says, kRefused when one that was never
  // checked does not pass now, kFailed, kCancelled; the caller then removes what is there.
  std::vector<RestoredDatabase> copy_to(int dir_fd, const std::string& dir, const Cancel& cancel,
                                        Progress& progress) const;

 private:
  struct Item {
    std::string name;
    std::uint64_t bytes = 0;
    std::string xxh128;  // empty: of the old script
    Verified verified = Verified::kSkipped;
    std::vector<std::string> problems;
    std::vector<std::string> unchecked;
    std::vector<Manifest::Table> tables;
  };

  void add_from_manifest(const Manifest& manifest);
  void add_from_old_script();
  void keep_only(const std::vector<std::string>& names);
  void require_passed() const;
  Fd open_whole(const Item& item) const;
  RestoredDatabase copy(const Item& item, int dir_fd, const std::string& dir, bool cloned,
                        const Cancel& cancel, Progress& progress) const;
  RestoredDatabase recover(const Item& item, int dir_fd, const std::string& dir, const Cancel& cancel,
                           Progress& progress) const;
  void prove(RestoredDatabase& database, const std::string& dir, const Cancel& cancel,
             Progress& progress) const;
  [[noreturn]] void throw_damaged(const Item& item, const std::string& how) const;

  std::string snapshot_;
  std::string path_;
  Fd dir_;
  bool old_script_ = false;
  bool allow_failed_ = false;
  std::string other_;  // the newest other verified snapshot; may be empty
  std::vector<Item> items_;
  std::vector<std::string> missing_;
  std::vector<std::string> missing_names_;
};

// Throws Error{kFailed} unless the disk below `dir_fd` has room for so many bytes more.
void require_room(int dir_fd, std::uint64_t bytes, const std::string& shown);

}  // namespace litepull
