// The output of `status`: for people, as JSON, for Nagios and for Prometheus. Pure functions, but
// that the table has colours if standard output is a terminal for them.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "client/nightly/status.h"
#include "common/error.h"

namespace litepull {

// One configuration: its status, or why there is none.
struct StatusEntry {
  std::string name;  // the app's, or the file's if it could not be read; safe to print
  std::string config;
  std::optional<AppStatus> status;
  std::unique_ptr<Error> error;  // if there is no `status`
  int exit_code = 0;
};

std::string status_table(std::span<const StatusEntry> entries);

nlohmann::ordered_json status_json(const StatusEntry& entry);

// A Nagios plugin's exit codes (https://www.monitoring-plugins.org/doc/guidelines.html).
enum class NagiosState { kOk = 0, kWarning = 1, kCritical = 2, kUnknown = 3 };

struct NagiosReport {
  NagiosState state = NagiosState::kUnknown;
  std::string line;  // with performance data: age and size of each newest good snapshot
};

// The worst state of all entries, in this order:
//
// - CRITICAL: the newest good snapshot is too old, or there is none.
// - UNKNOWN: the configuration or the snapshots could not be read.
// - WARNING: it is fresh, but the last run that is over was not good.
// - OK: neither of these.
NagiosReport nagios_report(std::span<const StatusEntry> entries);

// The content of a file for the textfile collector of Prometheus's node_exporter.
std::string prometheus_text(std::span<const StatusEntry> entries);

}  // namespace litepull
