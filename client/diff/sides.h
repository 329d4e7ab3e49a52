// The two sides that `litepull diff` compares. Each is a snapshot or the live server.
#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/pull/pull.h"
#include "client/store/store.h"

namespace litepull {

inline constexpr const char* kLiveWord = "live";

struct DiffSide {
  struct File {
    std::uint64_t bytes = 0;
    std::string keyed_digest;  // of the file; empty if unknown
    std::string journal_mode;  // on the server; empty if unknown
    std::string error;         // why the file is missing; empty if it is not
  };

  std::string name;  // the snapshot's; empty for the live server
  std::string label;
  std::string pinned_at;  // RFC 3339, UTC; empty if unknown
  bool old_script = false;
  std::string origin;  // from origin_text of client/config/origin.h; empty if it is from here
  std::string directory;
  std::map<std::string, File> files;  // by the database's name

  bool live() const { return name.empty(); }
};

DiffSide side_of(const Store& store, const Config& config, const Snapshot& snapshot);

// A copy of the app's databases as they are on the server now, in a staging directory that goes with this
// object. If the directory held what an interrupted run left, it stays for the next run, with what was added.
// What the constructor takes must outlive this object, and the lock must be held.
class LiveCopy {
 public:
  // Pulls what differs from `base`, or everything if it is null. Throws what a backup throws.
  LiveCopy(const Snapshot* base, const PullRun& run);

  const DiffSide& side() const { return side_; }

 private:
  std::optional<Staging> staging_;
  DiffSide side_;
};

// A database's file that can be read as long as this lives. Of a snapshot of the old script, it is a copy.
struct ReadyFile {
  std::optional<WorkDir> work;
  std::string path;
  std::uint64_t bytes = 0;
};

// Throws Error{kCorrupt} if the file does not have the size that the manifest says, or cannot be recovered.
ReadyFile make_ready(const Store& store, const DiffSide& side, const std::string& database,
                     const Cancel& cancel);

}  // namespace litepull
