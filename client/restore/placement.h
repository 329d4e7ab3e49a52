// The step of a restore that changes an existing directory. Databases that are staged in it and on disk
// replace old ones. An old database is moved with its `-wal`, `-shm` and `-journal`, as a group: a sidecar
// that stayed would be replayed into the new file, and a database without its own would lose commits.
//
// Everything happens below DIR/.litepull-restore-<random>/, where the new files are in `new`. These are the
// steps, each on disk before the next:
//
//   1. The old groups are hard-linked into `old.part`, which is then renamed to `old`. From here on `old` has
//   all
//      of the old data, whatever happens to DIR.
//   2. The old names are removed from DIR, the database first, so that nobody opens it without its sidecars.
//   3. The new files are renamed into their places, which are empty by then.
//   4. `old` is renamed to `spent`, and the hidden directory is removed.
//
// So no old sidecar is ever beside a new file. A kill leaves DIR as it was, or the complete old groups in
// `old`. settle_interrupted says what the next restore does then.
//
// The caller holds the lock of DIR throughout. Failures are Error with the path. One thread.
#pragma once

#include <string>
#include <vector>

#include "common/posix.h"

namespace litepull {

struct Directory {
  int fd = -1;
  std::string path;
};

// The names of a database's group that exist in DIR, the database first. Throws Error{kRefused} when one is
// not a regular file, and for a link where a directory should be.
std::vector<std::string> group_in(const Directory& directory, const std::string& database);

// The hidden directory, with an empty `new` in it.
class Placement {
 public:
  explicit Placement(const Directory& directory);
  ~Placement();  // removes it, unless `old` is in it
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;

  Directory fresh() const { return {new_.get(), path_ + "/new"}; }

  // The four steps. Precondition: `databases` are in fresh(), and their files are on disk. Without `replace`
  // throws Error{kRefused} when something is in their place. When it throws, DIR is as it was, or the message
  // says where the old files are.
  void put_in_place(const std::vector<std::string>& databases, bool replace);

 private:
  Placement(const Directory& directory, std::string name);
  void set_aside(const std::vector<std::string>& databases);
  void keep_owner(const std::string& database) const;  // as root: the new file gets the old one's
  void clear(const std::vector<std::string>& databases);
  void place(const std::string& database);
  std::string undo();

  const Directory directory_;
  std::string name_;
  std::string path_;
  Fd dir_;
  Fd new_;
  std::vector<std::string> placed_;
};

// Cleans up what killed restores left in DIR. Returns what it found and did, for people; empty when there was
// nothing. Puts old groups back when nothing has taken their place. Otherwise (a new file is in place, or the
// app has made one) it leaves everything as it is, and keeps `old` for the user. It removes the remains of a
// restore that had not changed DIR yet.
std::vector<std::string> settle_interrupted(const Directory& directory);

}  // namespace litepull
