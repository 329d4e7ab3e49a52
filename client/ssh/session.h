// One authenticated SSH connection to one hop: TCP (or a conduit), key exchange, host key, user key, in this
// order, each under the connect timeout and interruptible. A session and its channels are for one thread at a
// time.
#pragma once

#include <libssh/libssh.h>

#include <functional>
#include <memory>
#include <string>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/keys/host_key.h"
#include "client/ssh/conduit.h"
#include "client/ssh/remote_run.h"
#include "client/ssh/route.h"
#include "common/posix.h"

namespace litepull {

struct ChannelCloser {
  void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
};
using Channel = std::unique_ptr<ssh_channel_struct, ChannelCloser>;

// For a command that is shown to be typed. The file that nobody named is below the home directory.
std::string typed_path(const std::string& path);

// True once all that a command said has been read and its end is known: its exit status, or the channel's
// close. Never waits. After the end of the data libssh reads no further packets by itself.
bool has_ended(ssh_channel channel);

class SshSession {
 public:
  // Connects, over `conduit` when there is one, and exchanges keys. Throws Error{kConnection} with the
  // remedy. `config` and `cancel` must outlive this.
  SshSession(SshHop hop, std::unique_ptr<Conduit> conduit, const Config& config, const Cancel& cancel);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  const HostKey& host_key() const { return host_key_; }
  // Accepts only a host key that is known and matches; only then anything is said of who logs in. Throws
  // Error{kConnection} with the remedy.
  // Calls `on_trusted` in between.
  void log_in(const std::function<void()>& on_trusted = {});

  // A channel to `host`, which the other end connects to by itself.
  Channel forward(const std::string& host, std::uint16_t port);
  // Starts `command` on a channel of its own.
  Channel execute(const std::string& command);
  // Runs `command` with `input` as its standard input until it ends. None of it is sent before the command
  // has printed `ready`: the login shell's start-up files must not read it.
  CommandResult run(const std::string& command, const std::string& input = {}, const std::string& ready = {});

  // Waits a moment for the other end to close the channel of a command that has ended, too.
  void finish(Channel channel);
  // Whether the server is there: it gives or refuses another channel within the connect timeout.
  bool answers();

  // For a login. Repeats `step` while it returns `again`, within the connect timeout; SSH_ERROR also when the
  // connection is lost.
  int until_done(const char* doing, int again, const std::function<int()>& step);
  void restart_deadline();
  // "; the server says: ..." once it has shown a banner; safe to print.
  std::string what_it_says() const;
  [[noreturn]] void fail(const std::string& message, const std::string& hint) const;
  std::string setting() const;  // that names this hop

  ssh_session get() const { return session_.get(); }
  std::string last_error() const;  // libssh's words, or the conduit's, safe to print
  const std::string& shown_host() const { return hop_.shown; }
  enum class Woken { kNot, kByConnection, kByOther };
  // Waits until the connection can be read (or written, when libssh has bytes to send), `wake_fd` (-1: none)
  // can be read, or `timeout_ms` are over. Without `readable` the connection is not looked at. With
  // `acknowledge` what was received is acknowledged at once.
  Woken wait(int wake_fd, int timeout_ms, bool readable = true, bool acknowledge = true) const;
  void acknowledge_at_once() const;

 private:
  struct SessionCloser {
    void operator()(ssh_session session) const;
  };

  void set_options();
  void connect();
  std::uint64_t connect_timeout_us() const;
  void exchange_keys();
  std::string peer_address() const;
  Channel open_channel();
  [[noreturn]] void fail_silent(const char* doing) const;

  const SshHop hop_;
  const Config& config_;
  const Cancel& cancel_;
  std::uint64_t deadline_us_ = 0;
  Fd socket_;
  std::unique_ptr<Conduit> conduit_;  // outlives the session, which has its socket
  std::unique_ptr<ssh_session_struct, SessionCloser> session_;
  HostKey host_key_;
  bool is_encrypted_ = false;  // keys were exchanged
  bool had_channel_ = false;
};

}  // namespace litepull
