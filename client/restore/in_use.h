// Finds out whether a process has a database open. It does without SQLite, which could recover, roll back or
// create sidecars.
#pragma once

#include <string>

namespace litepull {

// Returns who has it open ("process 123 (puma)"); empty when nobody is found. `name` is in the directory
// `dir_fd`, and `shown` is its path.
//
// It finds SQLite's POSIX locks on the file (a transaction) and on its `-shm` (any connection in WAL mode),
// also of processes in containers on this machine. On Linux it also finds descriptors of processes whose
// /proc entry we may read: of all processes as root, otherwise of our own user's. It does not find a process
// on another machine, or one of another user that holds no lock at the moment.
std::string who_uses(int dir_fd, const std::string& name, const std::string& shown);

}  // namespace litepull
