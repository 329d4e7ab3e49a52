// Releases rollback-journal databases that are pinned and not being read. Their writers would wait for
// nothing.
//
// It has a thread of its own, because the copying thread may wait for a slow disk longer than a writer should
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
  // A rollback-journal database is pinned for at most kMaxIdleHoldUs without being read. The difference
  // leaves time for the thread to wake up.
  static constexpr std::uint64_t kMaxIdleHoldUs = 500'000;
  static constexpr std::uint64_t kLetGoAfterUs = 400'000;

  HoldWatch() = default;
  ~HoldWatch();
  HoldWatch(const HoldWatch&) = delete;
  HoldWatch& operator=(const HoldWatch&) = delete;

  // The database was pinned just now and is not read yet. Until take() or let_go_of_all(), only its name and
  // what its last pin found may be asked for.
  void watch(SourceDatabase& database);
  // The turn of the database has come, and from now on only the caller releases it. It may have been released
  // before.
  void take(SourceDatabase& database);
  // Call it before waiting for a lock.
  void let_go_of_all();

 private:
  void run();
  void let_go_of(std::uint64_t pinned_before_us);

  std::mutex mutex_;  // guards all below, and the watched databases
  std::condition_variable changed_;
  std::set<SourceDatabase*> watched_;
  bool stop_ = false;
  std::thread thread_;  // runs from the first database on
};

}  // namespace litepull
