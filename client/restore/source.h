// The databases of one snapshot that a user chose to restore. It copies each out of the snapshot and proves
// it. This is the first step of every restore to a directory.
//
// It only reads the snapshot's files, through a descriptor that it keeps. It needs no lock, since a snapshot
// that is removed meanwhile is an error like any other. It compares the files with the manifest. The Store
// must outlive it. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/store/store.h"

namespace litepull {

// The snapshot that `word` means (client/store/select_snapshot.h). Throws Error{kRefused} with the reason
// when it is the name of one that cannot be read.
const Snapshot& select_restorable(const Listing& listing, const std::string& word, std::int64_t now_unix_s);

struct RestoreChoice {
  std::vector<std::string> databases;  // by name; empty: all that the snapshot has
  bool allow_failed = false;           // restores databases that did not pass their check, too
};

// Why the restored file is known to be a sound database.
enum class Proof {
  kChecksum,   // its bytes are those that passed the check when the snapshot was verified
  kIntegrity,  // it passed a check now
  kNone,       // it is not: it did not pass, and the user allowed that
};

struct RestoredDatabase {
  std::string name;
  std::uint64_t bytes = 0;
  std::string xxh128;
  Proof proof = Proof::kNone;
  std::vector<std::string> problems;    // of a proof that failed
  std::vector<std::string> unchecked;   // parts that only the app can judge
  std::vector<Manifest::Table> tables;  // row counts
};

class RestoreSource {
 public:
  // Throws Error{kConfiguration} for a name that the snapshot does not have, and Error{kRefused} for a
  // database that is missing from it or did not pass its check. The hint says which snapshot to take.
  RestoreSource(const Store& store, const Listing& listing, const Snapshot& snapshot,
                const RestoreChoice& choice);

  const std::string& snapshot() const { return snapshot_; }
  const std::string& path() const { return path_; }
  bool old_script() const { return old_script_; }
  std::vector<std::string> names() const;
  // When all databases were asked for: each that the server had and the snapshot lacks, and why, for people.
  const std::vector<std::string>& missing() const { return missing_; }

  // Fills `dir_fd` with the chosen databases: files with mode 0600 in directories with mode 0700. The
  // directory belongs to the caller (absolute path `dir`), and nobody else may write to it. The files are on
  // disk afterwards, the directories are not. Blocks are shared with the snapshot where the file system can
  // do that. Throws Error{kCorrupt} when a file differs from its manifest, Error{kRefused} when one that was
  // never checked does not pass now, Error{kFailed} also without room for the files, and Error{kCancelled}.
  // The caller then removes what is there.
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
