#include "client/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::uint64_t kRedrawUs = 100'000;

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
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

void Board::erase() {
  // Cursor up, then clear to the end of the screen (ECMA-48).
  if (drawn_ > 0) fmt::print(out_, "\033[{}A\033[J", drawn_);
  drawn_ = 0;
}

void Board::draw() {
  for (const auto& [key, line] : lines_) fmt::print(out_, "{}\n", line);
  drawn_ = lines_.size();
  std::fflush(out_);
}

void Board::say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  erase();
  fmt::print(out_, "{}\n", line);
  draw();
}

void Board::set(const std::string& key, const std::string& line) {
  if (!live_) return;
  const std::lock_guard lock(mutex_);
  erase();
  lines_[key] = line;
  draw();
}

void Board::finish(const std::string& key, const std::string& line) {
  if (!live_) return;
  const std::lock_guard lock(mutex_);
  erase();
  lines_.erase(key);
  if (!line.empty()) fmt::print(out_, "{}\n", line);
  draw();
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
  if (!board_.live() || now_us - drawn_us_ < kRedrawUs) return;
  drawn_us_ = now_us;
  board_.set(app_, line());
}

void Progress::finish() {
  board_.finish(app_, line());
}

void Progress::step(const std::string& what) {
  board_.set(app_, fmt::format("{}  {}", app_, what));
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
