// Keeps SQLite below the working directory. SQLite opens files by their paths. Between our look at a file and
// SQLite's, anyone who may write to the storage directory can put a link in place of the file or of a
// directory on the way to it. So SQLite's calls of open and unlink (https://sqlite.org/c3ref/vfs.html,
// xSetSystemCall) are replaced by ones that follow no link at all, and the opened file is compared with the
// one that was looked at.
#pragma once

#include <cstdint>
#include <map>

#include "agent/discover.h"
#include "agent/file_id.h"
#include "agent/sqlite.h"

namespace litepull {

// From now on, whatever SQLite opens or removes by a path that begins with "./" is below the working
// directory. This holds for the whole process and cannot be undone.
void keep_sqlite_beneath();

// SQLite truncates a database's shared memory when no lock says that a process uses it. A process that has it
// mapped without that lock would then die of SIGBUS. From now on SQLite does not truncate any of
// `process_of_file` while its process lives. See unixLockSharedMemory in
// https://sqlite.org/src/file?name=src/os_unix.c.
void keep_shared_memory(const std::map<FileId, std::uint32_t>& process_of_file);

// Opens the candidate's database; `flags` are those of sqlite3_open_v2. Throws SqliteError, and
// Error{kFailed} when the file is not the one that was found. For one thread at a time.
Connection open_candidate(const Candidate& candidate, int flags, const char* vfs);

}  // namespace litepull
