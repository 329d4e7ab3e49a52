// A command's log. Warnings and errors appear on stderr, above the progress lines; a log file gets
// everything.
#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include <memory>
#include <string>

#include "client/base/progress.h"

namespace litepull {

// `board` must outlive the logger. Appends to `log_file` unless its name is empty; throws
// Error{kConfiguration} when it cannot be opened.
std::shared_ptr<spdlog::logger> make_log(Board& board, const std::string& log_file);

// The log of one app of several. It writes wherever `log` writes, and remembers its own last lines. `log`'s
// board must outlive it. Any thread.
class AppLog {
 public:
  explicit AppLog(const spdlog::logger& log);

  spdlog::logger& logger() { return log_; }
  // The last lines, at most `max_bytes` together.
  std::string tail(std::size_t max_bytes) const;

 private:
  std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> lines_;
  spdlog::logger log_;
};

}  // namespace litepull
