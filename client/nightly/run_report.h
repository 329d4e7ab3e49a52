// Reports a backup: to the record that `status` reads, to the monitoring service of PING_URL, and to
// NOTIFY_COMMAND. A problem here is a warning in the app's log, and never fails a backup. A run that finds
// another at work tells nobody, because the other one will, nor does a run that its user interrupted.
#pragma once

#include <string>

#include "client/base/log.h"
#include "client/config/config.h"
#include "client/nightly/ping.h"
#include "client/nightly/run_record.h"

namespace litepull {

struct RunEnd {
  int exit_code = 0;
  std::string message;   // what was wrong, unless exit_code is 0
  std::string hint;      // what to do about it; may be empty
  std::string snapshot;  // the name of what was published; may be empty
};

// One run of one app. What the constructor takes must outlive it. One thread.
class RunReport {
 public:
  RunReport(const Config& config, AppLog& log) : config_(config), log_(log) {}

  // Call it when the run has the lock and begins.
  void begin(const Store& store, const AppLock& lock);
  // Call it when the run has ended and still has the lock, so that it cannot overwrite another run's record.
  void end(const Store& store, const AppLock& lock, const RunEnd& end);
  // Call it when the run has given up the lock, or never had it. Nobody else waits for the pings then.
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
