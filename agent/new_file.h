// A database that is missing on the server and is made from an image. It is complete, on disk and opened by
// SQLite under a hidden name before it gets its own name. So no program ever sees a part of it, or anything
// that is no database.
#pragma once

#include <string>

#include "agent/image.h"
#include "common/posix.h"

namespace litepull {

class NewFile {
 public:
  // Fills a file in the database's directory, which must exist. The file gets the mode of the other databases
  // there, or 0600 when there is none. `name` is the database's path below the working directory and has no
  // links. Files that killed runs have left there are removed. Throws Error{kRefused} when something has that
  // name, or has a name that SQLite would take for this database's journal. Throws Error{kCorrupt} when
  // SQLite does not open what was made.
  NewFile(const std::string& name, const Image& image);
  ~NewFile();  // removes the file unless it was published
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  // Gives the file its name in one step. It is on disk when this returns. Throws like the constructor when
  // one of its conditions fails by now.
  void publish();

 private:
  void require_database(const std::string& path, const Image& image) const;

  std::string shown_;
  Fd directory_;
  std::string base_;    // the file's name in its directory
  std::string hidden_;  // empty once it is published
  Fd file_;             // locked, because a file that no process has locked is removed by the next run
};

}  // namespace litepull
