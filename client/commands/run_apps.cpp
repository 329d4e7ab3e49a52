#include "client/commands/run_apps.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/jobs.h"
#include "client/base/log.h"
#include "client/base/output.h"
#include "client/base/terminal.h"
#include "client/config/projects.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

// The entries of the JSON document and the exit codes, of as many apps as have had their turn.
struct Results {
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  std::vector<int> codes;

  void add(AppResult result) {
    entries.push_back(std::move(result.entry));
    codes.push_back(result.exit_code);
  }
};

// An error in the configuration itself names the file.
AppResult failure(const std::string& app, bool is_loaded, const Error& error, Console& console) {
  if (error.kind() == ErrorKind::kInterrupted)
    console.board.say("litepull: " + app + ": " + describe(error));
  else
    console.log->error("{}{}", is_loaded ? app + ": " : "", describe(error));
  const int code = exit_code_of(error.kind());
  return {error_json(app, code, error), code};
}

void run_one(const std::string& file, const Environment& environment, const AppWork& work, Console& console,
             const Cancel& cancel, Results& results) {
  std::string app = printable(file);
  bool is_loaded = false;
  const auto error = error_of([&] {
    const Config config = load_config(file, environment);
    app = config.app_name;
    is_loaded = true;
    results.add(work({config, cancel, console.board, *console.log}));
  });
  if (error) results.add(failure(app, is_loaded, at_the_end(with_config(*error, file), cancel), console));
}

}  // namespace

Console::Console(bool quiet, const std::string& log_file)
    : board(stderr, takes_escapes(stderr) && !quiet), log(make_log(board, log_file)) {}

void while_stoppable(Cancel& cancel, const std::function<void()>& work) {
  std::unique_ptr<Error> error;
  run_jobs(1, 1, cancel, [&](std::size_t) { error = error_of(work); });
  if (error) throw at_the_end(*error, cancel);
}

int run_apps(const ManyAppsOptions& options, OnSignal on_signal, const AppWork& work) {
  Console console(options.quiet);
  Cancel cancel;
  Results results;
  const auto run = [&] {
    for (const std::string& file : options.configs)
      run_one(file, options.environment, work, console, cancel, results);
  };
  if (on_signal == OnSignal::kEnd)
    run();
  else
    while_stoppable(cancel, run);
  if (options.json) print_json(results.entries);
  return worst_exit_code(results.codes);
}

int run_app(const OneAppOptions& options, OnSignal on_signal, const AppWork& work) {
  return run_apps({options, {options.config}}, on_signal, work);
}

}  // namespace litepull
