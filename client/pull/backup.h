// One app's backup, from its configuration to a pruned store.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/config/origin.h"
#include "client/nightly/prune.h"
#include "client/pull/pull.h"
#include "client/store/manifest.h"

namespace litepull {

struct BackupOptions : PullOptions {
  std::string label;                                      // is_label; may be empty
  bool full = false;                                      // sends every page, uses no base
  bool pinned = false;                                    // kept whatever its age
  bool prune = true;                                      // after it was published and is good
  std::optional<Manifest::BeforeRestore> before_restore;  // of a safety snapshot
  // Called before publishing, with the manifest and the staged directory. When it returns false, nothing is
  // published, and the result has only the manifest.
  std::function<bool(const Manifest&, int dir_fd, const std::string& shown)> is_wanted;
  WhenForeign when_foreign = WhenForeign::kStop;
};

// Printable, at most 64 bytes.
bool is_label(const std::string& label);

struct BackupResult {
  std::string path;  // of the published snapshot; empty when it was not wanted
  Manifest manifest;
  Unmatched unmatched;  // what DATABASES does not match; not safe to print as it is
  std::map<std::string, std::uint64_t> received_bytes;  // of each database, by its name in the manifest
  std::vector<std::string> removed;                     // older snapshots, by retention
  std::string note;                                     // why nothing was pruned, when the user should know
  bool unfinished = false;   // something after publishing failed; the log says what
  bool interrupted = false;  // and that was a Ctrl-C, of which the log says nothing
  bool strict = false;       // a part that could not be checked is a failure, too
};

// Pulls, publishes, verifies and prunes. Throws Error when nothing was published; kConfiguration when the
// newest snapshot is of another source (client/config/origin.h). What goes wrong later is in the manifest.
BackupResult run_backup(const AppRun& run, const BackupOptions& options);

// 0 or 4. It is 4 when a database is missing, failed its check, or was not checked although that was asked
// for (with `strict`: not in every part), and when something failed after publishing.
int exit_code(const BackupResult& result);

}  // namespace litepull
