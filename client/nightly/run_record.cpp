#include "client/nightly/run_record.h"

#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/output.h"
#include "common/error.h"
#include "common/short_name.h"

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr std::size_t kMaxMessageBytes = 4000;

std::string text_in(const Json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<int> number_in(const Json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<std::int64_t>();
  if (value < 0 || value > INT32_MAX) return std::nullopt;
  return static_cast<int>(value);
}

Json stored_failure(const RunFailure& failure) {
  Json out;
  out["at"] = failure.at;
  out["exit_code"] = failure.exit_code ? Json(*failure.exit_code) : Json();
  out["message"] = failure.message;
  out["snapshot"] = failure.snapshot;
  return out;
}

std::optional<RunFailure> failure_in(const Json& from) {
  const auto found = from.find("last_failure");
  if (found == from.end() || !found->is_object()) return std::nullopt;
  return RunFailure{text_in(*found, "at"), number_in(*found, "exit_code"), text_in(*found, "message"),
                    text_in(*found, "snapshot")};
}

}  // namespace

std::string to_json_text(const RunRecord& record) {
  Json out;
  out["format"] = kFormat;
  out["started_at"] = record.started_at;
  out["ended_at"] = record.ended() ? Json(record.ended_at) : Json();
  out["pid"] = record.pid;
  out["exit_code"] = record.ended() ? Json(record.exit_code) : Json();
  out["snapshot"] = record.snapshot;
  out["after_failure"] = record.after_failure;
  out["last_failure"] = record.last_failure ? stored_failure(*record.last_failure) : Json();
  return json_text(out) + "\n";
}

std::optional<RunRecord> parse_run_record(std::string_view text) {
  const Json from = Json::parse(text, nullptr, false);
  if (!from.is_object() || number_in(from, "format") != kFormat) return std::nullopt;
  RunRecord record;
  record.started_at = text_in(from, "started_at");
  record.ended_at = text_in(from, "ended_at");
  record.pid = number_in(from, "pid").value_or(0);
  record.snapshot = text_in(from, "snapshot");
  record.after_failure = from.value("after_failure", Json()) == true;
  record.last_failure = failure_in(from);
  const auto exit_code = number_in(from, "exit_code");
  if (!parse_rfc3339_utc(record.started_at) || (record.ended() && !exit_code)) return std::nullopt;
  record.exit_code = exit_code.value_or(0);
  return record;
}

std::optional<RunFailure> last_failure_of(const RunRecord& record) {
  if (record.ended()) return record.last_failure;
  return RunFailure{record.started_at, std::nullopt,
                    "the run that began then never ended: it was killed, or this machine stopped", ""};
}

RunRecord begun_after(const std::optional<RunRecord>& earlier, std::int64_t now_unix_ms, int pid) {
  RunRecord record;
  record.started_at = rfc3339_utc(now_unix_ms);
  record.pid = pid;
  record.after_failure = earlier && earlier->failing();
  if (earlier) record.last_failure = last_failure_of(*earlier);
  return record;
}

void end_run(RunRecord& record, std::int64_t now_unix_ms, int exit_code, const std::string& message,
             const std::string& snapshot) {
  record.ended_at = rfc3339_utc(now_unix_ms);
  record.exit_code = exit_code;
  record.snapshot = snapshot;
  if (exit_code != 0 && exit_code != kExitInterrupted)
    record.last_failure = {record.ended_at, exit_code, short_text(message, kMaxMessageBytes), snapshot};
}

std::optional<RunRecord> read_run_record(const Store& store) {
  std::optional<RunRecord> record;
  error_of([&] {
    if (const auto text = store.read_record()) record = parse_run_record(*text);
  });
  return record;
}

}  // namespace litepull
