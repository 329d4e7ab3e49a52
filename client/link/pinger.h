// Tells the agent every few seconds that its client is still there, even while the client waits for its disk.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/wire/frame.h"

namespace litepull {

// Sends while it lives. `writer` must outlive it. A failed write ends it; the reading side notices by itself.
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
