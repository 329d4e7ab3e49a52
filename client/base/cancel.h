// A request to stop. It comes from a signal, a failed sibling or a deadline, and is never taken back. Any
// thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {

class Cancel {
 public:
  Cancel() = default;
  // A request to `parent` counts here too. `parent` must outlive this object.
  explicit Cancel(const Cancel* parent) : parent_(parent) {}
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  void request() { requested_.store(true); }
  // The request of a person who pressed Ctrl-C.
  void interrupt() {
    interrupted_.store(true);
    request();
  }
  bool interrupted() const {
    return interrupted_.load() || (parent_ != nullptr && !detached_.load() && parent_->interrupted());
  }
  // After this many seconds the request is made by itself.
  void set_deadline(int seconds) {
    deadline_us_.store(monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(seconds));
  }
  // From now on the parent no longer counts, because the work that has begun must be finished.
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
    throw Error(ErrorKind::kCancelled, interrupted() ? "interrupted" : "stopped on request");
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
  std::atomic<bool> interrupted_{false};
  std::atomic<bool> detached_{false};
};

// An error where a command ends: Ctrl-C then has a kind of its own.
inline Error at_the_end(const Error& error, const Cancel& cancel) {
  const bool interrupted = error.kind() == ErrorKind::kCancelled && cancel.interrupted();
  return interrupted ? Error(ErrorKind::kInterrupted, error.message(), error.hint()) : error;
}

// How long a wait may go on before it looks at its Cancel again.
inline constexpr int kCancelPollMs = 100;

}  // namespace litepull
