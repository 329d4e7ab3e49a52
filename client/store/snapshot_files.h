// The files of a snapshot, by the descriptor of its directory. Only regular files are opened, symbolic links
// are never followed, and no search leaves the disk. `shown` is the directory's path for messages.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/posix.h"

namespace litepull {

class Store;
struct Snapshot;

// A file of a published snapshot, for reading; `name` as in its manifest.
Fd open_file(int snapshot_dir_fd, const std::string& name, const std::string& shown);
// The file beside a database whose name is the database's and `ending` ("-wal", "-journal"). An empty Fd when
// there is none; kCorrupt when it is not a regular file.
Fd open_sidecar(int snapshot_dir_fd, const std::string& name, const std::string& ending,
                const std::string& shown);
// The paths of everything below a snapshot's directory but the directories, sorted.
std::vector<std::string> files_below(int snapshot_dir_fd, const std::string& shown);
// The names of the databases in a directory of the old script, sorted.
std::vector<std::string> old_script_databases(int snapshot_dir_fd, const std::string& shown);
// The page hashes of that database. An empty Fd when there are none, since a snapshot is complete without
// them.
Fd open_hash_file(int snapshot_dir_fd, const std::string& name, const std::string& shown);

// Where the page hashes of that database are, below the snapshot's directory.
std::string hash_file_of(const std::string& name);
// Throws Error{kRefused} when is_database_name says no.
void require_database_name(const std::string& name);

struct FileSizes {
  std::uint64_t bytes = 0;       // of the regular files, without the page hashes
  std::uint64_t disk_bytes = 0;  // what all of them occupy, clones counted in full
};
FileSizes sizes_below(int dir_fd, dev_t device, const std::string& shown);

// By its name, "*.sqlite3".
bool is_database_file(const std::string& name);
// Empty when the directory holds only what the old script leaves: databases and their sidecars. `names` are
// those in it.
std::string why_not_old_script(int dir_fd, const std::vector<std::string>& names, const std::string& shown);

// True when each database of the manifest is there in its recorded size. Only `verify` compares checksums.
// Precondition: `snapshot` has a manifest.
bool has_its_files(const Store& store, const Snapshot& snapshot);

}  // namespace litepull
