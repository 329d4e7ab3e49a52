// The step of a restore that changes a directory which is in use: databases that are staged in it, whole and
// on disk, take the place of old ones. An old database goes with its `-wal`, `-shm` and `-journal`, as a
// group: a sidecar that stayed would be replayed into the new file, and a database without its own loses
// commits.
//
// Everything happens below DIR/.litepull-restore-<random>/: the new files are in `new`. The order, each step
// on disk before the next:
//
//   1. The old groups are hard-linked into `old.part`, which is then renamed to `old`: from here on the old
//      data is whole there, whatever is done to DIR.
//   2. The old names are removed from DIR: the database first, so that nobody opens it without its sidecars.
//   3. The new files are renamed into place, where by then is nothing.
//   4. `old` is renamed to `spent`: done. The hidden directory is removed.
//
// So at no moment is an old sidecar beside a new file, and whoever is killed leaves DIR as it was, or the old
// groups whole in `old`. What the next restore does about that is in settle_interrupted.
//
// The caller holds the lock of DIR throughout. Failures are Error with the path; one thread.
#pragma once

#include <string>
#include <vector>

#include "common/posix.h"

namespace litepull {

struct Directory {
  int fd = -1;
  std::string path;
};

// What of a database's group is in DIR: the names below it, the database first. Throws Error{kRefused} for
// anything of such a name that is no regular file, and for a link where a directory should be.
std::vector<std::string> group_in(const Directory& directory, const std::string& database);

// The hidden directory, with an empty `new` in it.
class Placement {
 public:
  explicit Placement(const Directory& directory);
  ~Placement();  // removes it, unless `old` is in it
  Placement(const Placement&) = delete;
  Placement& operator=(const Placement&) = delete;

  Directory fresh() const { return {new_.get(), path_ + "/new"}; }

  // The four steps. Precondition: `databases` are in fresh(), and their files on disk. Without `replace`
  // nothing may be there in their place: kRefused. When it throws, DIR is as it was, or the message says
  // where the old files are.
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

// What killed restores left in DIR, and what was done about it, for people; empty when there was nothing.
// Where only old groups are missing from DIR, and nothing has come in their place, they are put back. Else
// (a new file is in place, or the app has made one) everything is left as it is, and `old` is kept for the
// user. What never got as far as changing DIR is removed.
std::vector<std::string> settle_interrupted(const Directory& directory);

}  // namespace litepull
