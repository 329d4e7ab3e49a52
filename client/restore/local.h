// Restores to a directory on this machine. A directory that does not exist yet is staged beside its place as
// `.NAME.litepull-<random>` and then renamed, so that it appears complete or not at all. In one that exists
// the databases are staged in a hidden directory and then put in place (client/restore/placement.h).
//
// Nothing that a user sees changes until all databases are staged, proven and on disk. Only one restore at a
// time works in a directory. A second one throws Error{kBusy}.
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
  bool force = false;     // existing databases may be replaced when nobody has them open
};

struct LocalRestore {
  std::string directory;  // absolute
  std::vector<RestoredDatabase> databases;
  std::vector<std::string> replaced;  // names of those that replaced an old one
};

// `store_path` is the app's directory of snapshots, into which nothing may be restored. What a killed restore
// left in the directory is cleaned up first, and logged. Throws what RestoreSource and Placement throw, and
// Error{kRefused} when databases of those names exist (without force) or are in use.
LocalRestore restore_to_directory(const RestoreSource& source, const LocalTarget& target,
                                  const std::string& store_path, const Cancel& cancel, Progress& progress,
                                  spdlog::logger& log);

}  // namespace litepull
