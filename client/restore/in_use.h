// Whether a process has a database open, found out without SQLite, which would recover, roll back or create
// sidecars on the way.
#pragma once

#include <string>

namespace litepull {

// Says who ("process 123 (puma)"), or nothing. `name` is in the directory `dir_fd`, `shown` its path.
//
// Seen are SQLite's POSIX locks on the file (a transaction) and on its `-shm` (any connection in WAL mode),
// also of processes in containers on this machine; and on Linux every descriptor of a process whose /proc
// entry we may read: of any process as root, else of our own user's. A process on another machine, or one of
// another user that holds no lock at the moment, is not seen.
std::string who_uses(int dir_fd, const std::string& name, const std::string& shown);

}  // namespace litepull
