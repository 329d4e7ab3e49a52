// What others are told of a backup: the record that `status` reads, the monitoring service of PING_URL, and
// NOTIFY_COMMAND. Nothing here fails a backup: what does not work is a warning in the app's log. A run that
// finds another at work tells nobody anything, for that one will tell of itself.
#pragma once

#include <string>

#include "client/base/console.h"
#include "client/config/config.h"
#include "client/nightly/ping.h"
#include "client/nightly/run_record.h"

namespace litepull {

struct RunEnd {
  int exit_code = 0;
  std::string message;   // what was wrong, when exit_code is not 0
  std::string hint;      // what to do about it; may be empty
  std::string snapshot;  // the name of what was published; may be empty
};

// One run of one app. What is taken by reference must outlive it; one thread.
class RunReport {
 public:
  RunReport(const Config& config, AppLog& log) : config_(config), log_(log) {}

  // The run has the lock and begins.
  void begin(const Store& store, const AppLock& lock);
  // It has ended and still has the lock: what is recorded must not be another run's.
  void end(const Store& store, const AppLock& lock, const RunEnd& end);
  // It has given the lock up, or never had it: from here on only this process waits.
  void tell(const RunEnd& end);

 private:
  void write_record(const Store& store, const AppLock& lock);
  void send_ping(PingEvent event, const std::string& text = {});
  void notify(const std::string& event, const RunEnd& end);

  const Config& config_;
  AppLog& log_;
  RunRecord record_;
  bool begun_ = false;
};

}  // namespace litepull
