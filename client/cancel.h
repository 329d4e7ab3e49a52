// A request to stop, from a signal or from a failed sibling. Set once, never taken back; any thread.
#pragma once

#include <atomic>

#include "common/error.h"

namespace litepull {

class Cancel {
 public:
  Cancel() = default;
  // Requested also when `parent` is, which must outlive it.
  explicit Cancel(const Cancel* parent) : parent_(parent) {}
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  void request() { requested_.store(true); }
  // From now on the parent is not asked any more: what has begun must be seen to its end.
  void detach() { detached_.store(true); }
  bool requested() const {
    return requested_.load() || (parent_ != nullptr && !detached_.load() && parent_->requested());
  }
  void throw_if_requested() const {
    if (requested()) throw Error(ErrorKind::kCancelled, "stopped on request");
  }

 private:
  const Cancel* const parent_ = nullptr;
  std::atomic<bool> requested_{false};
  std::atomic<bool> detached_{false};
};

// How long a wait may go on before it looks at its Cancel again.
inline constexpr int kCancelPollMs = 100;

}  // namespace litepull
