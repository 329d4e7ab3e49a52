// The client's half of a restore to the server. common/wire/PROTOCOL.md has the order of the messages. It
// trusts the agent as little as a pull does: the agent may ask only for pages of the file, and in order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/restore/file.h"
#include "client/store/manifest.h"
#include "common/wire/protocol.h"

namespace litepull {

// What the agent said, in the order of the files.
struct RestoreTalk {
  Hello hello;
  std::vector<Target> targets;
  std::vector<Ready> ready;        // modes kCompare and kRestore
  std::vector<Restored> restored;  // the first ones, when not all were
  std::optional<DatabaseFailed> failed;
  // Set when the agent was told to go on and its last message did not arrive. What became of the databases
  // that are not in `restored` is then unknown.
  std::unique_ptr<Error> lost;
  std::string host_key;  // the fingerprint of the server's
  Manifest::Wire wire;
  Done done;
};

// What a conversation works with. All is borrowed.
struct TalkContext {
  const Config& config;
  const std::string& agent_path;
  const Cancel& cancel;  // counts until the agent is told to go on
  Progress& progress;
};

// Runs the agent in `mode` for `files`. `on_targets` is called with what is there, and may throw. Throws
// Error, and then nothing on the server has changed. Targets that are refused are an error of mode kRestore
// alone.
RestoreTalk talk_restore(const TalkContext& context, RestoreMode mode, const std::vector<RestoreFile>& files,
                         const std::function<void(const RestoreTalk&)>& on_targets = {});

}  // namespace litepull
