#include "client/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "client/base/terminal.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::uint64_t kRedrawUs = 100'000;

struct TerminalSize {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

TerminalSize terminal_size(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_row < 2 || size.ws_col < 2) return {};
  return {size.ws_row, size.ws_col};
}

std::string format_passed(std::uint64_t seconds) {
  return seconds < 60 ? fmt::format("{} s", seconds) : format_duration(static_cast<double>(seconds));
}

std::string count_text(std::uint64_t since_us) {
  if (since_us == 0) return "";
  const std::uint64_t seconds = (monotonic_us() - since_us) / 1'000'000;
  return seconds == 0 ? "" : "  " + format_passed(seconds);
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_duration(double seconds) {
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

Board::Board(std::FILE* out, bool live)
    : out_(out), is_terminal_(::isatty(::fileno(out)) != 0), live_(live) {}

Board::~Board() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  if (counter_.joinable()) counter_.join();
}

// A terminal that fails must not stop a run, so the first failed write ends the live lines.
void Board::print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), out_) != text.size()) live_ = false;
}

// Cursor up, then clear to the end of the screen (ECMA-48). The cursor first goes to the first column, since
// the terminal may have echoed a ^C.
void Board::erase() {
  if (is_terminal_) print("\r");
  if (drawn_ > 0) print(fmt::format("\033[{}A\033[J", drawn_));
  drawn_ = 0;
}

void Board::draw() {
  const TerminalSize size = terminal_size(out_);
  for (const auto& [key, line] : lines_) {
    if (!live_ || drawn_ + 1 >= size.rows) break;
    print(first_characters(line.text + count_text(line.since_us), size.columns - 1) + "\n");
    ++drawn_;
  }
  if (std::fflush(out_) != 0) live_ = false;
}

void Board::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  erase();
  print(line + "\n");
  draw();
}

void Board::put(const std::string& key, Line line) {
  const std::lock_guard lock(mutex_);
  if (!live_) return;
  erase();
  if (line.since_us != 0 && !counter_.joinable()) counter_ = std::thread([this] { count(); });
  lines_[key] = std::move(line);
  draw();
}

void Board::set(const std::string& key, const std::string& line) {
  put(key, {line});
}

void Board::set_counting(const std::string& key, const std::string& line) {
  put(key, {line, monotonic_us()});
}

void Board::remove(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (!live_) return;
  erase();
  lines_.erase(key);
  draw();
}

void Board::count() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, std::chrono::seconds(1), [&] { return end_; })) {
    const bool counts =
        std::any_of(lines_.begin(), lines_.end(), [](const auto& line) { return line.second.since_us != 0; });
    if (!counts || !live_) continue;
    erase();
    draw();
  }
}

void Progress::begin(const std::string& database, std::uint64_t total_bytes) {
  database_ = printable(database);
  total_bytes_ = total_bytes;
  done_bytes_ = 0;
  started_us_ = monotonic_us();
  drawn_us_ = started_us_;
  board_.set(app_, line());
}

void Progress::advance(std::uint64_t bytes) {
  done_bytes_ += bytes;
  const std::uint64_t now_us = monotonic_us();
  if (now_us - drawn_us_ < kRedrawUs) return;
  drawn_us_ = now_us;
  board_.set(app_, line());
}

void Progress::finish() {
  done_bytes_ = total_bytes_;
  board_.set(app_, line());
}

void Progress::step(const std::string& what) {
  board_.set_counting(app_, fmt::format("{}  {}", app_, what));
}

std::string Progress::line() const {
  const double seconds = std::max(1e-6, static_cast<double>(monotonic_us() - started_us_) / 1e6);
  const double rate = static_cast<double>(done_bytes_) / seconds;
  std::string text =
      fmt::format("{}  {}  {} of {}", app_, database_, format_bytes(done_bytes_), format_bytes(total_bytes_));
  if (done_bytes_ > 0) text += fmt::format("  {}/s", format_bytes(static_cast<std::uint64_t>(rate)));
  if (done_bytes_ >= total_bytes_) return text + fmt::format("  in {}", format_duration(seconds));
  if (done_bytes_ > 0)
    text += fmt::format("  {} left", format_duration(static_cast<double>(total_bytes_ - done_bytes_) / rate));
  return text;
}

}  // namespace litepull
