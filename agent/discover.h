// Finds the databases of a storage directory by name and by what lstat says of them. No file is opened here:
// closing any descriptor on a live database would cancel SQLite's POSIX locks in this process
// (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

struct Candidate {
  std::string name;  // path below the storage directory
  std::string path;  // the same from the working directory: "./" and the name
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t device = 0;
  ino_t inode = 0;
  std::optional<Problem> problem;  // why it must not be opened
};

// Makes the storage directory the working directory; `~/` and relative names are taken from the login
// directory. Every later path is relative to it: Docker's volumes lie below directories that only root may
// cross, and the agent gives root up before it opens a database. Throws Error{kConfiguration} when it is no
// directory, Error{kRefused} when it is on a network file system, where SQLite's locks cannot be trusted.
void enter_directory(const std::string& directory);

// Throws Error{kRefused} when the working directory is on a network file system; `shown` is its path.
void require_local_file_system(const std::string& shown);

// What kind of file system `path` is on: "ext4", say, or its magic number in hex.
std::string file_system_name(const std::string& path);

// Something that hides no database that a pattern spells out, and yet might hide one: told, never a failure.
using Notices = std::vector<Notice>;

// All entries below the working directory that `request` names, sorted by name. What matches and cannot be a
// database to copy (a FIFO, a symbolic link, a file with two names, ...) is there with its problem. Throws
// Error{kConfiguration} when nothing matches.
//
// Only directories below which a pattern can match are entered, and none that EXCLUDE covers as a whole.
// Of those, three kinds hide what is in them: one without rights, one whose path is too long for SQLite, and
// one that holds litepull's own snapshots. Where a pattern spells the directory out, it is in the result with
// its problem; where a wildcard leads there, it is in `notices`. Memory does not grow with entries that match
// nothing.
std::vector<Candidate> discover(const Request& request, Notices& notices);
std::vector<Candidate> discover(const Request& request);

// -wal, -shm or -journal of a database.
bool is_sidecar(const std::string& name);

// One that a snapshot of ours is made or taken away in, by its name; or a snapshot, or an app's directory of
// them, by what is in it.
bool is_work_directory(const std::string& base);
bool holds_snapshots(int directory_fd, const std::string& base);

// The network file system that an open directory is on; nullptr: a disk of this machine.
const char* network_of(int directory_fd);

// Databases at the top of the storage directory; maybe none.
std::vector<Candidate> databases_at_the_top();

// Those of `names` that are there, sorted by name, with their problems as above; maybe none. Throws Error
// when a directory on the way to one of them cannot be looked into.
std::vector<Candidate> find_databases(const std::vector<std::string>& names);

}  // namespace litepull
