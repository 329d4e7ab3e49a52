// A request to stop, from a signal or from a failed sibling. Set once, never taken back; any thread.
#pragma once

#include <atomic>

#include "common/error.h"

namespace litepull {

class Cancel {
 public:
  void request() { requested_.store(true); }
  bool requested() const { return requested_.load(); }
  void throw_if_requested() const {
    if (requested()) throw Error(ErrorKind::kCancelled, "stopped on request");
  }

 private:
  std::atomic<bool> requested_{false};
};

// How long a wait may go on before it looks at its Cancel again.
inline constexpr int kCancelPollMs = 100;

}  // namespace litepull
