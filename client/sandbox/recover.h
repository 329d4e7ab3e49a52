// Makes one plain file of a database of the old script. That script copied live files with their `-wal` and
// `-journal`, so the last commits may be in those alone. Opening such a copy where it lies would change it.
// So it is first copied to a place of the caller's. There SQLite makes it whole, in a child with limits,
// because the files came from a server and may be hostile.
#pragma once

#include <cstdint>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

// A directory of the caller's that nobody else writes to. `path` is absolute.
struct RecoverTarget {
  int dir_fd = -1;
  std::string path;
};

// Copies `name` with its sidecars from a snapshot's directory (client/store/store.h opens it and names its
// databases) into `target`, and has SQLite apply the WAL or the hot journal there. The result is one file
// `name`, 0600, on disk, without sidecars. Returns its size in bytes. The snapshot's files are only read.
// This does not prove that the file is sound, which client/verify/verify.h does: of a torn WAL or journal,
// the whole parts are applied, as after a crash.
//
// Throws Error{kCorrupt} when SQLite cannot read it, Error{kFailed} when the disk has too little room or the
// child does not finish, and Error{kCancelled}. When it throws, nothing of it is left in `target`.
std::uint64_t recover_database(int snapshot_dir_fd, const std::string& snapshot_path, const std::string& name,
                               const RecoverTarget& target, const Cancel& cancel);

// The child's command. Limits this process, which may write no file beyond `total_bytes`, opens `path`, and
// prints as JSON what went wrong.
int recover_file_command(const std::string& path, std::uint64_t total_bytes);

}  // namespace litepull
