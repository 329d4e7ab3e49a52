// What `litepull diff` compares: a snapshot, or the live server.
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
    std::string keyed_digest;  // of the file; empty when it is not known
    std::string journal_mode;  // on the server; empty when it is not known
    std::string error;         // why there is no such file, although there should be
  };

  std::string name;  // the snapshot's; empty for the server
  std::string label;
  std::string pinned_at;  // empty when it is not known
  bool old_script = false;
  std::string origin;  // as origin_text of client/config/origin.h; empty when it is from here
  std::string directory;
  std::map<std::string, File> files;  // by the database's name

  bool live() const { return name.empty(); }
};

DiffSide side_of(const Store& store, const Config& config, const Snapshot& snapshot);

// The app's databases as they are on the server now, in a staging directory that is gone with this object;
// but when it began with what an interrupted run left, that stays for the next run, with what was added to
// it. What it takes by reference must outlive it, and the lock be held.
class LiveCopy {
 public:
  // Pulls what differs from `base` (null: everything). Throws Error as a backup that publishes nothing.
  LiveCopy(const Snapshot* base, const PullRun& run);

  const DiffSide& side() const { return side_; }

 private:
  std::optional<Staging> staging_;
  DiffSide side_;
};

// A database's file in a form that can be read, for as long as this lives: one of the old script's is a copy.
struct ReadyFile {
  std::optional<WorkDir> work;
  std::string path;
  std::uint64_t bytes = 0;
};

// Throws kCorrupt when it is not the file that the snapshot is said to hold, or cannot be made whole.
ReadyFile make_ready(const Store& store, const DiffSide& side, const std::string& database,
                     const Cancel& cancel);

}  // namespace litepull
