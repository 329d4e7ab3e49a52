// Finds the databases of a storage directory by their names and by what lstat says about them. No file is
// opened here: closing any descriptor of a live database would cancel SQLite's POSIX locks in this process
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

// Makes the storage directory the working directory. `~/` and relative names start at the login directory.
// Every later path is relative to it, because Docker's volumes lie below directories that only root may
// enter, and the agent gives up root before it opens a database. Throws Error{kConfiguration} when it is no
// directory, and Error{kRefused} when it is on a network file system, where SQLite's locks cannot be trusted.
void enter_directory(const std::string& directory);

// Throws Error{kRefused} when the working directory is on a network file system. `shown` is its path.
void require_local_file_system(const std::string& shown);

// The type of the file system that `path` is on, for example "ext4", or its magic number in hex.
std::string file_system_name(const std::string& path);

// Directories that might hide a database, although no pattern spells one out in them. They are reported and
// do not make the run fail.
using Notices = std::vector<Notice>;

// All entries below the working directory that `request` names, sorted by name. An entry that matches and
// cannot be copied as a database (a FIFO, a symbolic link, a file with two names, ...) has its problem.
// Throws Error{kConfiguration} when nothing matches.
//
// Only directories below which a pattern can match are entered, and none that EXCLUDE covers as a whole.
// Three kinds of directories hide their content: one without rights, one whose path is too long for SQLite,
// and one that holds litepull's own snapshots. A hidden directory that a pattern spells out is in the result
// with its problem. One to which a wildcard leads is in `notices`. Memory does not grow with entries that
// match nothing.
std::vector<Candidate> discover(const Request& request, Notices& notices);
std::vector<Candidate> discover(const Request& request);

// True for the -wal, -shm or -journal of a database.
bool is_sidecar(const std::string& name);

// is_work_directory tells by its name a directory in which litepull makes or removes a snapshot.
// holds_snapshots tells by its content a snapshot, or the directory of an app's snapshots.
bool is_work_directory(const std::string& base);
bool holds_snapshots(int directory_fd, const std::string& base);

// The name of the network file system that an open directory is on. nullptr when it is on a disk of this
// machine.
const char* network_of(int directory_fd);

// The databases at the top of the storage directory. There may be none.
std::vector<Candidate> databases_at_the_top();

// Those of `names` that exist, sorted by name, with their problems as in discover. There may be none. Throws
// Error when a directory on the way to one of them cannot be read.
std::vector<Candidate> find_databases(const std::vector<std::string>& names);

}  // namespace litepull
