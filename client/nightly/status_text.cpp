#include "client/nightly/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "client/base/clock.h"
#include "client/base/progress.h"
#include "client/base/terminal.h"
#include "client/nightly/age_text.h"
#include "common/short_name.h"

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t unix_s_of(const std::string& rfc3339) {
  return parse_rfc3339_utc(rfc3339).value_or(0) / 1000;
}

std::string ago(const AppStatus& status, const std::string& rfc3339) {
  return age_text(status.now_unix_s - unix_s_of(rfc3339)) + " ago";
}

const char* state_word(const StatusEntry& entry) {
  if (!entry.status) return "UNKNOWN";
  if (!entry.status->newest) return "NONE";
  return entry.status->fresh() ? "ok" : "TOO OLD";
}

Tone tone_of(const StatusEntry& entry) {
  if (!entry.status || !entry.status->fresh()) return Tone::kBad;
  return entry.status->failing() ? Tone::kWarning : Tone::kGood;
}

std::string state_cell(const StatusEntry& entry) {
  return painted(fmt::format("{:7}", state_word(entry)), tone_of(entry), stdout);
}

std::string run_words(const AppStatus& status) {
  switch (status.run_state) {
    case RunState::kNone:
      return "never run";
    case RunState::kRunning:
      return "running, began " + ago(status, status.last_run->started_at);
    case RunState::kKilled:
      return "KILLED, began " + ago(status, status.last_run->started_at);
    case RunState::kEnded:
      break;
  }
  const RunRecord& run = *status.last_run;
  if (run.interrupted()) return "interrupted, " + ago(status, run.ended_at);
  return (run.good() ? "ok, " : fmt::format("FAILED ({}), ", run.exit_code)) + ago(status, run.ended_at);
}

std::string failure_words(const AppStatus& status) {
  const RunFailure& failure = *status.last_failure;
  return fmt::format("{} ({}){}: {}", local_time(failure.at), ago(status, failure.at),
                     failure.exit_code ? fmt::format(", exit code {}", *failure.exit_code) : "",
                     safe_text(failure.message));
}

constexpr const char* kRow = "{:{}}  {:7}  {:24}  {:>8}  {:>8}  {:>10}  {}\n";

std::string row(const StatusEntry& entry, std::size_t width) {
  if (!entry.status)
    return fmt::format("{:{}}  {}  {}\n", entry.name, width, state_cell(entry),
                       safe_text(entry.error->message()));
  const AppStatus& status = *entry.status;
  const auto& newest = status.newest;
  std::string text =
      fmt::format(kRow, entry.name, width, state_cell(entry), newest ? newest->name : "none",
                  newest ? age_text(status.age_s()) : "", fmt::format("{} h", status.max_age_hours),
                  newest ? format_bytes(newest->size_bytes) : "", run_words(status));
  if (status.last_failure) text += "  last failure: " + failure_words(status) + "\n";
  for (const std::string& note : status.notes) text += "  " + note + "\n";
  return text;
}

Json failure_json(const RunFailure& failure) {
  return {{"at", failure.at},
          {"exit_code", failure.exit_code ? Json(*failure.exit_code) : Json()},
          {"message", failure.message},
          {"snapshot", failure.snapshot}};
}

const char* state_text(RunState state) {
  switch (state) {
    case RunState::kNone:
      return "none";
    case RunState::kRunning:
      return "running";
    case RunState::kKilled:
      return "killed";
    case RunState::kEnded:
      return "ended";
  }
  return "";
}

Json run_json(const AppStatus& status) {
  if (!status.last_run) return {};
  const RunRecord& run = *status.last_run;
  return {{"state", state_text(status.run_state)},
          {"started_at", run.started_at},
          {"ended_at", run.ended() ? Json(run.ended_at) : Json()},
          {"exit_code", run.ended() ? Json(run.exit_code) : Json()},
          {"snapshot", run.snapshot}};
}

Json newest_json(const AppStatus& status) {
  if (!status.newest) return {};
  return {{"name", status.newest->name},        {"path", status.newest->path},
          {"unix_s", status.newest->unix_s},    {"age_s", status.age_s()},
          {"bytes", status.newest->size_bytes}, {"label", status.newest->label}};
}

// --- Nagios -----------------------------------------------------------------------------------------------

constexpr std::size_t kMaxReason = 200;

NagiosState nagios_state(const StatusEntry& entry) {
  if (!entry.status) return NagiosState::kUnknown;
  if (!entry.status->fresh()) return NagiosState::kCritical;
  return entry.status->failing() ? NagiosState::kWarning : NagiosState::kOk;
}

const char* nagios_word(NagiosState state) {
  switch (state) {
    case NagiosState::kOk:
      return "OK";
    case NagiosState::kWarning:
      return "WARNING";
    case NagiosState::kCritical:
      return "CRITICAL";
    case NagiosState::kUnknown:
      break;
  }
  return "UNKNOWN";
}

int severity(NagiosState state) {
  switch (state) {
    case NagiosState::kOk:
      return 0;
    case NagiosState::kWarning:
      return 1;
    case NagiosState::kUnknown:
      return 2;
    case NagiosState::kCritical:
      break;
  }
  return 3;
}

std::string nagios_words(const StatusEntry& entry) {
  if (!entry.status) return entry.name + ": " + safe_text(entry.error->message());
  const AppStatus& status = *entry.status;
  std::string words = entry.name + ": ";
  words += status.newest ? fmt::format("{} is {} old, {}", status.newest->name, age_text(status.age_s()),
                                       format_bytes(status.newest->size_bytes))
                         : "no good snapshot";
  if (!status.fresh() && status.newest) words += fmt::format(" (limit {} h)", status.max_age_hours);
  if (status.failing() && status.last_failure)
    words += ", last run: " + short_text(safe_text(status.last_failure->message), kMaxReason);
  return words;
}

// On a line for Nagios, '|' begins the performance data.
std::string without_bars(std::string text) {
  std::replace(text.begin(), text.end(), '|', '/');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string performance_data(const StatusEntry& entry) {
  if (!entry.status || !entry.status->newest) return "";
  const AppStatus& status = *entry.status;
  return fmt::format(" '{0}_age'={1}s;;{2};0 '{0}_size'={3}B;;;0", entry.name, status.age_s(),
                     std::int64_t{status.max_age_hours} * 3600, status.newest->size_bytes);
}

// --- Prometheus -------------------------------------------------------------------------------------------

// https://prometheus.io/docs/instrumenting/exposition_formats/
std::string label_value(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

// One number of an app's status; `value` returns none if it is unknown.
struct Metric {
  const char* name;
  const char* help;
  std::function<std::optional<std::int64_t>(const StatusEntry&)> value;
};

template <typename Value>
std::function<std::optional<std::int64_t>(const StatusEntry&)> of_status(Value value) {
  return [value](const StatusEntry& entry) -> std::optional<std::int64_t> {
    if (!entry.status) return std::nullopt;
    return value(*entry.status);
  };
}

using Number = std::optional<std::int64_t>;

std::vector<Metric> metrics() {
  return {
      {"litepull_newest_good_snapshot_timestamp_seconds", "When the newest good snapshot was pinned.",
       of_status([](const AppStatus& s) { return s.newest ? Number(s.newest->unix_s) : Number(); })},
      {"litepull_newest_good_snapshot_size_bytes", "Size of the newest good snapshot's files.",
       of_status([](const AppStatus& s) {
         return s.newest ? Number(static_cast<std::int64_t>(s.newest->size_bytes)) : Number();
       })},
      {"litepull_max_age_seconds", "How old the newest good snapshot may be (MAX_AGE_HOURS).",
       of_status([](const AppStatus& s) { return Number(std::int64_t{s.max_age_hours} * 3600); })},
      {"litepull_fresh", "1 when there is a good snapshot that is not too old, by the time of this file.",
       of_status([](const AppStatus& s) { return Number(s.fresh() ? 1 : 0); })},
      {"litepull_failing", "1 when the last run that is over was not good.",
       of_status([](const AppStatus& s) { return Number(s.failing() ? 1 : 0); })},
      {"litepull_last_run_start_timestamp_seconds", "When the last run began.",
       of_status([](const AppStatus& s) {
         return s.last_run ? Number(unix_s_of(s.last_run->started_at)) : Number();
       })},
      {"litepull_last_run_end_timestamp_seconds", "When the last run ended, if it has.",
       of_status([](const AppStatus& s) {
         return s.run_state == RunState::kEnded ? Number(unix_s_of(s.last_run->ended_at)) : Number();
       })},
      {"litepull_last_run_exit_code", "Exit code of the last run, if it has ended.",
       of_status([](const AppStatus& s) {
         return s.run_state == RunState::kEnded ? Number(s.last_run->exit_code) : Number();
       })},
      {"litepull_last_failure_timestamp_seconds", "When a run was last not good.",
       of_status([](const AppStatus& s) {
         return s.last_failure ? Number(unix_s_of(s.last_failure->at)) : Number();
       })},
      {"litepull_status_exit_code", "What litepull status would exit with for this configuration alone.",
       [](const StatusEntry& entry) { return Number(entry.exit_code); }},
  };
}

std::string labels_of(const StatusEntry& entry) {
  const std::string app = entry.status ? entry.status->app : "";
  return fmt::format("{{app=\"{}\",config=\"{}\"}}", label_value(app), label_value(entry.config));
}

}  // namespace

std::string status_table(std::span<const StatusEntry> entries) {
  std::size_t width = 3;
  for (const StatusEntry& entry : entries) width = std::max(width, entry.name.size());
  std::string text =
      fmt::format(kRow, "app", width, "state", "newest good snapshot", "age", "limit", "size", "last run");
  for (const StatusEntry& entry : entries) text += row(entry, width);
  return text;
}

Json status_json(const StatusEntry& entry) {
  Json out;
  out["app"] = entry.status ? entry.status->app : entry.name;
  out["exit_code"] = entry.exit_code;
  out["config"] = entry.config;
  if (entry.error) {
    out["state"] = "unknown";
    out["error"] = {{"message", entry.error->message()}, {"hint", entry.error->hint()}};
    return out;
  }
  const AppStatus& status = *entry.status;
  out["directory"] = status.directory;
  out["state"] = !status.newest ? "none" : status.fresh() ? "ok" : "too_old";
  out["failing"] = status.failing();
  out["max_age_hours"] = status.max_age_hours;
  out["newest_good"] = newest_json(status);
  out["last_run"] = run_json(status);
  out["last_failure"] = status.last_failure ? failure_json(*status.last_failure) : Json();
  out["notes"] = status.notes;
  out["foreign_snapshots"] = status.foreign;
  return out;
}

NagiosReport nagios_report(std::span<const StatusEntry> entries) {
  std::vector<const StatusEntry*> worst_first;
  for (const StatusEntry& entry : entries) worst_first.push_back(&entry);
  std::stable_sort(worst_first.begin(), worst_first.end(), [](const auto* a, const auto* b) {
    return severity(nagios_state(*a)) > severity(nagios_state(*b));
  });
  NagiosReport report;
  if (worst_first.empty()) return report;
  report.state = nagios_state(*worst_first.front());
  std::string words, data;
  for (const StatusEntry* entry : worst_first) {
    words += (words.empty() ? "" : "; ") + nagios_words(*entry);
    data += performance_data(*entry);
  }
  report.line = fmt::format("LITEPULL {} - {}{}{}", nagios_word(report.state), without_bars(words),
                            data.empty() ? "" : " |", data);
  return report;
}

std::string prometheus_text(std::span<const StatusEntry> entries) {
  std::string text;
  for (const Metric& metric : metrics()) {
    std::string samples;
    std::set<std::string> seen;  // a series that appears twice makes the whole file unreadable
    for (const StatusEntry& entry : entries) {
      const auto value = metric.value(entry);
      const std::string labels = labels_of(entry);
      if (value && seen.insert(labels).second)
        samples += fmt::format("{}{} {}\n", metric.name, labels, *value);
    }
    if (!samples.empty())
      text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{2}", metric.name, metric.help, samples);
  }
  return text;
}

}  // namespace litepull
