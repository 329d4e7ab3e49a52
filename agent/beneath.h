// SQLite opens by path, and whoever may write to the storage directory can put something else there between
// our look at a file and SQLite's: a link in the place of the file, or of a directory on the way to it. So
// SQLite's own calls of open and unlink (https://sqlite.org/c3ref/vfs.html, xSetSystemCall) are replaced by
// ones that follow no link at all, and what was opened is held against what was looked at.
#pragma once

#include <cstdint>
#include <map>

#include "agent/discover.h"
#include "agent/file_id.h"
#include "agent/sqlite.h"

namespace litepull {

// Whatever SQLite opens or removes from now on by a path that begins with "./" is below the current
// directory. For the whole process, once and for all.
void keep_sqlite_beneath();

// SQLite cuts off a database's shared memory when no lock says that somebody uses it. From now on it does so
// to none of `files` while its process lives: whoever has it mapped without that lock would die of it
// (SIGBUS). https://sqlite.org/src/file?name=src/os_unix.c, unixLockSharedMemory.
void keep_shared_memory(const std::map<FileId, std::uint32_t>& process_of_file);

// The candidate's database; `flags` as of sqlite3_open_v2. Throws SqliteError, and Error{kFailed} when it is
// not the file that the candidate was found as. One thread at a time.
Connection open_candidate(const Candidate& candidate, int flags, const char* vfs);

}  // namespace litepull
