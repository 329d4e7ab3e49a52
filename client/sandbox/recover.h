// A database of the old script as one plain file. That script copied live files with their `-wal` and
// `-journal`, so what was committed last may be in those alone; and opening such a copy where it lies would
// change it. Here it is copied to a place of the caller's first, and SQLite makes it whole there, in a child
// process with limits: the files came from a server and may be hostile.
#pragma once

#include <cstdint>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

// A directory of the caller's that nobody else writes to; `path` is absolute.
struct RecoverTarget {
  int dir_fd = -1;
  std::string path;
};

// Copies `name` with its sidecars out of a snapshot's directory (client/store/store.h opens it and names its
// databases) into `target`, and has SQLite apply the WAL or the hot journal there. What remains is one file
// `name`, 0600, on disk, without sidecars; its size is returned. The snapshot's files are only read. That the
// file is sound is for client/verify/verify.h to say: of a WAL or a journal that was torn, what is whole is
// applied, as after a crash.
//
// Throws Error{kCorrupt} for what SQLite cannot make sense of, kFailed when the disk has too little room or
// the child does not come to an end, kCancelled. Whatever it throws, nothing of it is left in `target`.
std::uint64_t recover_database(int snapshot_dir_fd, const std::string& snapshot_path, const std::string& name,
                               const RecoverTarget& target, const Cancel& cancel);

// The hidden command behind it: limits this process, which may write no file beyond `total_bytes`, opens
// `path`, and prints as JSON what went wrong.
int recover_file_command(const std::string& path, std::uint64_t total_bytes);

}  // namespace litepull
