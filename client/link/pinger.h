// Tells the agent every few seconds that its client is still there, however long the client's disk takes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/wire/frame.h"

namespace litepull {

// Speaks while it lives. `writer` must outlive it. A write that fails ends it: the reading side will know.
class Pinger {
 public:
  explicit Pinger(FrameWriter& writer);
  ~Pinger();
  Pinger(const Pinger&) = delete;
  Pinger& operator=(const Pinger&) = delete;

 private:
  void run();

  FrameWriter& writer_;
  std::mutex mutex_;  // guards stop_
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace litepull
