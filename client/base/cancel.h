// A request to stop, from a signal, a failed sibling or a deadline. Set once, never taken back; any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {

class Cancel {
 public:
  Cancel() = default;
  // Requested also when `parent` is, which must outlive it.
  explicit Cancel(const Cancel* parent) : parent_(parent) {}
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  void request() { requested_.store(true); }
  // Requested by itself once so many seconds are over.
  void set_deadline(int seconds) {
    deadline_us_.store(monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(seconds));
  }
  // From now on the parent is not asked any more: what has begun must be seen to its end.
  void detach() { detached_.store(true); }
  bool requested() const {
    return requested_.load() || is_late() ||
           (parent_ != nullptr && !detached_.load() && parent_->requested());
  }
  void throw_if_requested() const {
    if (!requested()) return;
    if (is_any_late())
      throw Error(ErrorKind::kCancelled, "stopped, since its deadline has passed",
                  "see what took so long, or give it more time with --deadline");
    throw Error(ErrorKind::kCancelled, "stopped on request");
  }

 private:
  bool is_late() const {
    const std::uint64_t deadline_us = deadline_us_.load();
    return deadline_us != 0 && monotonic_us() >= deadline_us;
  }
  bool is_any_late() const {
    return !requested_.load() && (is_late() || (parent_ != nullptr && parent_->is_any_late()));
  }

  const Cancel* const parent_ = nullptr;
  std::atomic<std::uint64_t> deadline_us_{0};  // 0: none
  std::atomic<bool> requested_{false};
  std::atomic<bool> detached_{false};
};

// How long a wait may go on before it looks at its Cancel again.
inline constexpr int kCancelPollMs = 100;

}  // namespace litepull
