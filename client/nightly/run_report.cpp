#include "client/nightly/run_report.h"

#include <unistd.h>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/run_program.h"
#include "client/base/shown_lines.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxPingText = 10'000;  // services cut longer texts, and the end matters most
constexpr double kNotifySeconds = 30;

std::string one_line(const std::string& app, const RunEnd& end) {
  if (end.exit_code == 0) return app + ": good again: " + end.snapshot;
  return app + (end.snapshot.empty() ? ": failed: " : ": " + end.snapshot + " is not good: ") +
         safe_text(end.message);
}

std::string with_hint(const std::string& line, const RunEnd& end) {
  return line + "\n" + (end.hint.empty() ? "" : "  " + end.hint + "\n");
}

}  // namespace

void RunReport::begin(const Store& store, const AppLock& lock) {
  begun_ = true;
  record_ = begun_after(read_run_record(store), unix_ms_now(), ::getpid());
  write_record(store, lock);
  send_ping(PingEvent::kStart);
}

void RunReport::end(const Store& store, const AppLock& lock, const RunEnd& end) {
  end_run(record_, unix_ms_now(), end.exit_code, end.message, end.snapshot);
  write_record(store, lock);
}

void RunReport::tell(const RunEnd& end) {
  if (end.exit_code == kExitInterrupted || (!begun_ && end.exit_code == kExitBusy)) return;
  const bool good = end.exit_code == 0;
  const std::string text = with_hint(one_line(config_.app_name, end), end);
  if (good)
    send_ping(PingEvent::kSuccess);
  else
    send_ping(PingEvent::kFailure,
              text + "\n" + log_.tail(kMaxPingText - std::min(text.size(), kMaxPingText)));
  if (!good || record_.after_failure) notify(good ? "recovery" : "failure", end);
}

void RunReport::write_record(const Store& store, const AppLock& lock) {
  const auto error = error_of([&] { store.write_record(lock, to_json_text(record_)); });
  if (error)
    log_.logger().warn("{}: what `litepull status` reads was not written: {}", config_.app_name,
                       describe(*error));
}

void RunReport::send_ping(PingEvent event, const std::string& text) {
  if (config_.ping_url.empty()) return;
  const std::string problem = ping(config_.ping_url, event, text);
  if (!problem.empty())
    log_.logger().warn("{}: the ping to {} (PING_URL) did not arrive: {}", config_.app_name,
                       shown_url(config_.ping_url), problem);
}

void RunReport::notify(const std::string& event, const RunEnd& end) {
  if (config_.notify_command.empty()) return;
  const std::string line = one_line(config_.app_name, end).substr(0, kMaxCommandInput / 2);
  const std::vector<std::string> variables{"LITEPULL_EVENT=" + event, "LITEPULL_APP=" + config_.app_name,
                                           "LITEPULL_EXIT_CODE=" + std::to_string(end.exit_code),
                                           "LITEPULL_MESSAGE=" + line, "LITEPULL_SNAPSHOT=" + end.snapshot};
  CommandRun run;
  const Cancel never;  // a run that was stopped is reported too
  const auto error = error_of([&] {
    const std::string input = with_hint(line, end).substr(0, kMaxCommandInput);
    run = run_command(
        {config_.notify_command, ".", variables, kNotifySeconds, input}, [](std::string_view) {}, never);
  });
  if (error)
    log_.logger().warn("{}: NOTIFY_COMMAND: {}", config_.app_name, describe(*error));
  else if (run.timed_out)
    log_.logger().warn("{}: NOTIFY_COMMAND took more than {} s and was ended", config_.app_name,
                       kNotifySeconds);
  else if (run.status != 0)
    log_.logger().warn("{}: NOTIFY_COMMAND ended with status {}: {}", config_.app_name, run.status,
                       shown_lines(run.last_lines));
}

}  // namespace litepull
