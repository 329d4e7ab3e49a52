// Lets go of rollback-journal databases that are held and not read: their writers wait for nothing then.
//
// A thread of its own, since the one that copies may be stuck in a slow disk for longer than a writer should
// wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>

#include "agent/source_database.h"

namespace litepull {

class HoldWatch {
 public:
  // The longest that a rollback-journal database is held without being read is kMaxIdleHoldUs; what is left
  // of it is for the thread to wake up.
  static constexpr std::uint64_t kMaxIdleHoldUs = 500'000;
  static constexpr std::uint64_t kLetGoAfterUs = 400'000;

  HoldWatch() = default;
  ~HoldWatch();
  HoldWatch(const HoldWatch&) = delete;
  HoldWatch& operator=(const HoldWatch&) = delete;

  // Pinned just now, and not to be read yet. From here until take() or let_go_of_all() only its name and what
  // its last pin found may be asked for.
  void watch(SourceDatabase& database);
  // It is its turn, and nobody releases it any more but the caller. It may have been released.
  void take(SourceDatabase& database);
  // Before the caller waits for a lock.
  void let_go_of_all();

 private:
  void run();
  void let_go_of(std::uint64_t pinned_before_us);

  std::mutex mutex_;  // guards all below, and the watched databases
  std::condition_variable changed_;
  std::set<SourceDatabase*> watched_;
  bool stop_ = false;
  std::thread thread_;  // since the first database
};

}  // namespace litepull
