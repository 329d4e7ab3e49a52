// A program with a terminal of its own, as when a person runs it. Used from one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/posix.h"
#include "tests/support/process.h"

namespace litepull::test {

class Terminal {
 public:
  Terminal(const std::vector<std::string>& argv, const Environment& env, unsigned columns = 80);
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();  // kills it

  // True once `text` was shown `times` times; false when that has not come within some seconds.
  bool wait_for(const std::string& text, std::size_t times);
  void type(const std::string& text);
  const std::string& shown() const { return shown_; }
  // What a person sees in the end, without colours: what was erased or written over is gone. Knows the escape
  // sequences that litepull uses.
  std::vector<std::string> lines() const;
  // Waits for the program's end; -1 when a signal ended it or it runs on.
  int exit_code();

 private:
  bool read_more();

  Fd ours_;
  pid_t pid_ = -1;
  std::string shown_;
};

}  // namespace litepull::test
