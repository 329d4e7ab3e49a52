// Restores to a directory on this machine. A directory that is not there yet is staged beside its place, as
// `.NAME.litepull-<random>`, and renamed into it: it is there whole or not at all. In one that is there
// already the databases are staged in a hidden directory and then put in place, see
// client/restore/placement.h.
//
// Until all databases are staged, whole, proven and on disk, nothing that a user sees has changed. One
// restore at a time works in a directory: another one is Error{kBusy}.
#pragma once

#include <spdlog/logger.h>

#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/restore/source.h"

namespace litepull {

struct LocalTarget {
  std::string directory;  // may be relative
  bool force = false;     // databases that are there may be replaced, once nobody has them open
};

struct LocalRestore {
  std::string directory;  // absolute
  std::vector<RestoredDatabase> databases;
  std::vector<std::string> replaced;  // names of those that took an old one's place
};

// `store_path` is the app's directory of snapshots, in which nothing is restored. What a killed restore left
// in the directory is settled first and told to `log`. Throws what RestoreSource and Placement throw, and
// kRefused when databases of those names are there (without force), or in use.
LocalRestore restore_to_directory(const RestoreSource& source, const LocalTarget& target,
                                  const std::string& store_path, const Cancel& cancel, Progress& progress,
                                  spdlog::logger& log);

}  // namespace litepull
