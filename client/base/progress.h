// What a person sees while a pull runs. On a terminal each app has one line, which shows its current
// database. Elsewhere nothing is shown.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

namespace litepull {

// "1.2 GB", in decimal units.
std::string format_bytes(std::uint64_t bytes);
// "4.2 s", "3:05", "1:02:03".
std::string format_duration(double seconds);

// The lines at the end of a terminal that change. Any thread. A terminal that fails is ignored.
class Board {
 public:
  // Without `live` only say() prints. `out` must outlive this.
  Board(std::FILE* out, bool live) : out_(out), live_(live) {}

  void say(const std::string& line);  // prints a line that stays, above the changing ones
  void set(const std::string& key, const std::string& line);
  // The key's line stays as `line` from now on; when that is empty, the line disappears.
  void finish(const std::string& key, const std::string& line);

 private:
  void print(const std::string& text);
  void erase();
  void draw();

  std::FILE* const out_;
  std::mutex mutex_;  // guards all below
  bool live_;
  std::map<std::string, std::string> lines_;
  std::size_t drawn_ = 0;
};

// The progress of one app's databases, one after the other. One thread.
class Progress {
 public:
  Progress(Board& board, std::string app) : board_(board), app_(std::move(app)) {}
  ~Progress() { board_.finish(app_, ""); }

  void begin(const std::string& database, std::uint64_t total_bytes);
  void advance(std::uint64_t bytes);
  void finish();
  void step(const std::string& what);  // a phase without bytes to count

 private:
  std::string line() const;

  Board& board_;
  std::string app_;
  std::string database_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t started_us_ = 0;
  std::uint64_t drawn_us_ = 0;
};

}  // namespace litepull
