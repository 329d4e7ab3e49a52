// A database that is missing on the server, made from an image: complete, on disk and opened by SQLite under
// a hidden name before it gets its own, so that nobody ever sees a part of it, or anything but a database.
#pragma once

#include <string>

#include "agent/image.h"
#include "common/posix.h"

namespace litepull {

class NewFile {
 public:
  // Fills a file in the database's directory, which must be there, with the mode of the other databases, 0600
  // when there is none. `name` is the database's path below the working directory, without links. What killed
  // runs have left there is removed. Throws Error{kRefused} when something has that name, or lies where
  // SQLite would take it for this database's journal; Error{kCorrupt} when SQLite does not open what was
  // made.
  NewFile(const std::string& name, const Image& image);
  ~NewFile();  // removes it, unless it was published
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // In one step, and on disk when it returns. Throws as the constructor does when that has become true since.
  void publish();

 private:
  void require_database(const std::string& path, const Image& image) const;

  std::string shown_;
  Fd directory_;
  std::string base_;    // the name in its directory
  std::string hidden_;  // empty once it is published
  Fd file_;             // locked: a file that nobody has locked is nobody's
};

}  // namespace litepull
