// One authenticated SSH connection: TCP, key exchange, host key, user key, in this order, each under the
// connect timeout and interruptible. A session and its channels are for one thread at a time.
#pragma once

#include <libssh/libssh.h>

#include <netdb.h>

#include <functional>
#include <memory>
#include <string>

#include "client/cancel.h"
#include "client/config.h"
#include "common/posix.h"

namespace litepull {

struct ChannelCloser {
  void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
};
using Channel = std::unique_ptr<ssh_channel_struct, ChannelCloser>;

// True once all that a command said has been read and its end is known: its exit status, or the channel's
// close. Never waits. After the end of the data libssh reads no further packets by itself.
bool has_ended(ssh_channel channel);

// What a remote command printed and how it ended.
struct CommandResult {
  int status = -1;  // -1 when it ended without one
  std::string output;
  std::string errors;  // both capped and safe to print
};

class SshSession {
 public:
  // Connects and logs in. Throws Error{kConnection} with the remedy; the host key is checked before any
  // authentication, and only a known one that matches is accepted. Both arguments must outlive this.
  SshSession(const Config& config, const Cancel& cancel);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  // Starts `command` on a channel of its own.
  Channel execute(const std::string& command);
  // Runs `command` with `input` as its standard input until it ends.
  CommandResult run(const std::string& command, const std::string& input);

  ssh_session get() const { return session_.get(); }
  std::string last_error() const;  // libssh's words, safe to print
  enum class Woken { kNot, kByConnection, kByOther };
  // Waits until the connection can be read (or written, when libssh has bytes to send), `wake_fd` (-1: none)
  // can be read, or `timeout_ms` are over. Without `readable` the connection is not looked at. With
  // `acknowledge` what was received is acknowledged at once.
  Woken wait(int wake_fd, int timeout_ms, bool readable = true, bool acknowledge = true) const;

 private:
  struct SessionCloser {
    void operator()(ssh_session session) const;
  };

  void set_options();
  void connect_tcp();
  Fd connect_to(const addrinfo& address, std::uint64_t deadline_us, int& error) const;
  std::uint64_t connect_timeout_us() const;
  void restart_deadline();
  void acknowledge_at_once() const;
  void exchange_keys();
  void check_host_key();
  bool is_revoked() const;
  void authenticate();
  bool authenticate_with_file();
  bool authenticate_with_agent_or_defaults();
  // Repeats `step` while it returns `again`, within the connect timeout.
  int until_done(const char* doing, int again, const std::function<int()>& step);
  [[noreturn]] void fail(const std::string& message, const std::string& hint) const;
  std::string shown_host() const;

  const Config& config_;
  const Cancel& cancel_;
  std::uint64_t deadline_us_ = 0;
  Fd socket_;
  std::unique_ptr<ssh_session_struct, SessionCloser> session_;
  std::string auth_note_;  // why the configured key could not be used, if so
};

}  // namespace litepull
