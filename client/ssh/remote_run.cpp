#include "client/ssh/remote_run.h"

#include <algorithm>
#include <utility>

#include "client/base/shown_lines.h"
#include "client/config/config.h"
#include "client/ssh/session.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxCommandOutputBytes = 16 * 1024;
constexpr std::size_t kSendBytes = 32 * 1024;  // what OpenSSH takes in one packet
constexpr std::size_t kShownErrorBytes = 2000;

std::uint64_t us_of(int seconds) {
  return std::uint64_t{1'000'000} * static_cast<unsigned>(seconds);
}

}  // namespace

RemoteRun::RemoteRun(SshSession& session, ssh_channel channel, const std::string& input,
                     const std::string& ready, int idle_timeout_s, const Cancel& cancel)
    : session_(session),
      channel_(channel),
      input_(input),
      ready_(ready),
      idle_timeout_s_(idle_timeout_s),
      cancel_(cancel),
      is_ready_(ready.empty()) {}

CommandResult RemoteRun::run() {
  idle_deadline_us_ = monotonic_us() + us_of(idle_timeout_s_);
  patience_ends_us_ = monotonic_us() + patience_us(idle_timeout_s_);
  while (!has_ended(channel_)) {
    cancel_.throw_if_requested();
    const bool received = receive();
    const bool sent = send();
    if (sent_bytes_ == input_.size() && !has_ended_input_) end_input();
    require_progress(received || sent);
  }
  while (receive()) {
  }
  result_.status = ssh_channel_get_exit_status(channel_);
  result_.errors = shown_end(result_.errors, kShownErrorBytes);
  return std::move(result_);
}

bool RemoteRun::receive() {
  const bool output = receive_from(0, result_.output);
  const bool errors = receive_from(1, result_.errors);
  is_ready_ = is_ready_ || result_.output.find(ready_) != std::string::npos;
  return output || errors;
}

bool RemoteRun::receive_from(int is_stderr, std::string& into) {
  char buffer[16 * 1024];
  const int got = ssh_channel_read_nonblocking(channel_, buffer, sizeof buffer, is_stderr);
  if (got <= 0) return false;
  received_bytes_ += static_cast<std::size_t>(got);
  into.append(buffer, static_cast<std::size_t>(got));
  keep_end(into, kMaxCommandOutputBytes);
  return true;
}

bool RemoteRun::send() {
  const std::uint32_t window = ssh_channel_window_size(channel_);
  const std::size_t size = std::min<std::size_t>({input_.size() - sent_bytes_, window, kSendBytes});
  if (!is_ready_ || size == 0) return false;
  const int done = ssh_channel_write(channel_, input_.data() + sent_bytes_, static_cast<std::uint32_t>(size));
  if (done <= 0) return false;
  sent_bytes_ += static_cast<std::size_t>(done);
  patience_ends_us_ = monotonic_us() + patience_us(idle_timeout_s_);
  return true;
}

void RemoteRun::end_input() {
  ssh_channel_send_eof(channel_);
  has_ended_input_ = true;
}

// Throws when this can no longer end well; otherwise waits a moment unless something has moved.
void RemoteRun::require_progress(bool moved) {
  if (ssh_is_connected(session_.get()) == 0)
    session_.fail("the connection was cut: " + session_.last_error(), "run this again");
  if (received_bytes_ > kMaxGreetingNoiseBytes || monotonic_us() > patience_ends_us_)
    session_.fail("the login shell prints without end and never runs the command",
                  "look at what its start-up files print when there is no terminal");
  if (moved) {
    idle_deadline_us_ = monotonic_us() + us_of(idle_timeout_s_);
    return;
  }
  if (monotonic_us() > idle_deadline_us_)
    session_.fail("the command has printed nothing for too long",
                  "raise IDLE_TIMEOUT if the link is that slow");
  session_.wait(-1, kCancelPollMs);
}

}  // namespace litepull
