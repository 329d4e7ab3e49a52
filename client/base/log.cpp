#include "client/base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/stat.h>

#include <mutex>
#include <vector>

#include "client/base/terminal.h"
#include "common/error.h"

namespace litepull {
namespace {

class BoardSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit BoardSink(Board& board) : board_(board) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const bool is_error = message.level >= spdlog::level::err;
    const std::string prefix = is_error ? painted("error:", Tone::kBad, board_.out())
                                        : painted("warning:", Tone::kWarning, board_.out());
    board_.say("litepull: " + prefix + " " + safe_lines({message.payload.data(), message.payload.size()}));
  }
  void flush_() override {}

 private:
  Board& board_;
};

constexpr const char* kLinePattern = "%Y-%m-%dT%H:%M:%S%z %l %v";
constexpr std::size_t kRememberedLines = 200;

std::vector<spdlog::sink_ptr> with_one_more(const spdlog::logger& log, spdlog::sink_ptr sink) {
  std::vector<spdlog::sink_ptr> sinks = log.sinks();
  sinks.push_back(std::move(sink));
  return sinks;
}

spdlog::logger logger_with(const std::vector<spdlog::sink_ptr>& sinks) {
  spdlog::logger log("litepull", sinks.begin(), sinks.end());
  log.flush_on(spdlog::level::info);
  return log;
}

// spdlog would make the missing directories of a name that was mistyped.
void require_directory_of(const std::string& path) {
  const std::string directory = path.substr(0, path.find_last_of('/') + 1) + ".";
  struct stat status {};
  if (::stat(directory.c_str(), &status) == 0) return;
  throw Error(ErrorKind::kConfiguration,
              "the log file " + printable(path) + " cannot be opened: its directory does not exist",
              "make the directory first, or correct --log-file");
}

std::shared_ptr<spdlog::sinks::sink> open_file_sink(const std::string& path) {
  require_directory_of(path);
  try {
    spdlog::file_event_handlers
        handlers;  // children must not inherit the file, since one of them reads hostile databases
    handlers.after_open = [](const spdlog::filename_t&, std::FILE* file) {
      ::fcntl(::fileno(file), F_SETFD, FD_CLOEXEC);
    };
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, false, handlers);
    sink->set_pattern(kLinePattern);
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(ErrorKind::kConfiguration, std::string("the log file cannot be opened: ") + error.what(),
                "check --log-file and the mode of its directory");
  }
}

}  // namespace

std::shared_ptr<spdlog::logger> make_log(Board& board, const std::string& log_file) {
  auto on_board = std::make_shared<BoardSink>(board);
  on_board->set_level(spdlog::level::warn);
  std::vector<spdlog::sink_ptr> sinks{on_board};
  if (!log_file.empty()) sinks.push_back(open_file_sink(log_file));
  return std::make_shared<spdlog::logger>(logger_with(sinks));
}

AppLog::AppLog(const spdlog::logger& log)
    : lines_(std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(kRememberedLines)),
      log_(logger_with(with_one_more(log, lines_))) {
  lines_->set_pattern(kLinePattern);
}

std::string AppLog::tail(std::size_t max_bytes) const {
  std::string text;
  const std::vector<std::string> lines = lines_->last_formatted();
  for (auto line = lines.rbegin(); line != lines.rend() && text.size() + line->size() <= max_bytes; ++line)
    text.insert(0, *line);
  return text;
}

}  // namespace litepull
