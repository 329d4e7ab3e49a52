// What a person sees while a pull runs. On a terminal each app has one line, which shows its current
// database. Elsewhere nothing is shown.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace litepull {

// "1.2 GB", in decimal units.
std::string format_bytes(std::uint64_t bytes);
// "4.2 s", "3:05", "1:02:03".
std::string format_duration(double seconds);

// The lines at the end of a terminal that change. Any thread. A terminal that fails is ignored.
class Board {
 public:
  // Without `live` only say() prints. `out` must outlive this.
  Board(std::FILE* out, bool live);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  std::FILE* out() const { return out_; }
  void say(const std::string& line);  // prints a line that stays, above the changing ones
  void set(const std::string& key, const std::string& line);
  // As set, with the seconds that have passed since, counted on.
  void set_counting(const std::string& key, const std::string& line);
  void remove(const std::string& key);

 private:
  struct Line {
    std::string text;
    std::uint64_t since_us = 0;  // 0: without a count
  };

  void put(const std::string& key, Line line);
  void print(const std::string& text);
  void erase();
  void draw();
  void count();

  std::FILE* const out_;
  const bool is_terminal_;
  std::mutex mutex_;  // guards all below
  std::condition_variable ended_;
  bool live_;
  bool end_ = false;
  std::map<std::string, Line> lines_;
  std::size_t drawn_ = 0;
  std::thread counter_;  // redraws while a line counts; runs from the first such line on
};

// The progress of one app's databases, one after the other. Nothing of it stays: the result says what
// happened. One thread.
class Progress {
 public:
  Progress(Board& board, std::string app) : board_(board), app_(std::move(app)) {}
  ~Progress() { clear(); }

  void begin(const std::string& database, std::uint64_t total_bytes);
  void advance(std::uint64_t bytes);
  void finish();                       // of the database
  void step(const std::string& what);  // a phase without bytes to count; its seconds are
  void clear() { board_.remove(app_); }

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
