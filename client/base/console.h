// Where a command's words go: a log whose warnings appear on stderr without tearing the progress lines, and
// optionally a file that gets everything.
#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "client/base/progress.h"
#include "common/error.h"

namespace litepull {

// `board` must outlive the logger. With `log_file` not empty, appends to it; throws Error{kConfiguration}
// when it cannot be opened.
std::shared_ptr<spdlog::logger> make_log(Board& board, const std::string& log_file);

// The log of one app of several: says all that `log` says, and remembers its own last lines. `log`'s board
// must outlive it. Any thread.
class AppLog {
 public:
  explicit AppLog(const spdlog::logger& log);

  spdlog::logger& logger() { return log_; }
  // The end of what was said, whole lines of at most `max_bytes` together.
  std::string tail(std::size_t max_bytes) const;

 private:
  std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> lines_;
  spdlog::logger log_;
};

// What `--json` shows of a configuration that failed; `app` is its name, or the file's.
nlohmann::ordered_json error_json(const std::string& app, int exit_code, const Error& error);

// Prints the one document of `--json`: the entry itself when there is one, else the list.
void print_json(const nlohmann::ordered_json& entries);

// "message" and, on a line of its own, the hint.
std::string describe(const Error& error);

// Calls `job`, and turns what it throws into an Error, whatever it was.
template <typename Job>
std::unique_ptr<Error> error_of(Job job) {
  try {
    job();
    return nullptr;
  } catch (const Error& error) {
    return std::make_unique<Error>(error);
  } catch (const std::exception& error) {
    return std::make_unique<Error>(ErrorKind::kFailed, error.what());
  }
}

}  // namespace litepull
