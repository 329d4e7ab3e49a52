// What every command does around its work: it reads configurations, stops on signals, reports errors, prints
// JSON and finds the exit code. A command's own file holds the rest: options in, work, text or JSON out.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/commands/command_options.h"
#include "client/config/config.h"

namespace litepull {

// Where a command's progress and warnings go: to stderr. Progress appears on a terminal only, and not with
// --quiet.
struct Console {
  // Appends a log to `log_file` unless that is empty. Throws Error{kConfiguration} when it cannot be opened.
  explicit Console(bool quiet, const std::string& log_file = "");

  Board board;
  std::shared_ptr<spdlog::logger> log;
};

// Calls `work` in a thread of its own, and throws what it throws. The first SIGINT, SIGTERM or SIGHUP
// requests `cancel`; the second ends the process.
void while_stoppable(Cancel& cancel, const std::function<void()>& work);

// What the first of those signals does to a command.
enum class OnSignal {
  kEnd,     // It ends the process at once. For short work that leaves nothing unfinished.
  kCancel,  // It requests AppContext::cancel.
};

// What the work on one app is given. All of it lives as long as the call.
struct AppContext {
  const Config& config;
  const Cancel& cancel;
  Board& board;
  spdlog::logger& log;
};

struct AppResult {
  nlohmann::ordered_json entry;  // the app's part of the JSON document
  int exit_code = 0;
};

using AppWork = std::function<AppResult(const AppContext&)>;

// Calls `work` for each configuration that can be read, one after the other. Without --json, `work` prints
// its result for people; with it, the entries are printed as one document at the end. An error of one app is
// logged and becomes its entry, and the others still get their turn. Returns the most severe exit code.
int run_apps(const ManyAppsOptions& options, OnSignal on_signal, const AppWork& work);
int run_app(const OneAppOptions& options, OnSignal on_signal, const AppWork& work);

}  // namespace litepull
