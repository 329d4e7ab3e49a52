// One authenticated SSH connection to one hop. Its steps are TCP (or a conduit), key exchange, host key and
// user key, in this order. The connect timeout limits each, and a cancellation ends it. Only one thread at a
// time may use a session and its channels.
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

// `path` as a word of a command that the user is to type. A leading "~/" stays unquoted.
std::string typed_path(const std::string& path);

// True once everything that a command printed has been read and its end is known, by its exit status or by
// the close of the channel. Never waits. After the end of the data libssh reads no further packets by itself.
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
  // First requires a host key that is known and matches, then calls `on_trusted`, and only then sends a user
  // name. Throws Error{kConnection} with the remedy.
  void log_in(const std::function<void()>& on_trusted = {});

  // A channel to `host`. The other end makes that connection.
  Channel forward(const std::string& host, std::uint16_t port);
  // Starts `command` on a channel of its own.
  Channel execute(const std::string& command);
  // Runs `command` until it ends, with `input` as its standard input, as RemoteRun describes.
  CommandResult run(const std::string& command, const std::string& input = {}, const std::string& ready = {});

  // Waits up to a second for the other end to close the channel of a command that has ended.
  void finish(Channel channel);
  // Whether the server still answers: it grants or refuses another channel within the connect timeout.
  bool answers();

  // For a login. Repeats `step` while it returns `again`, within the connect timeout. `doing` is for the
  // message when that has passed. Returns SSH_ERROR also when the connection is lost.
  int until_done(const char* doing, int again, const std::function<int()>& step);
  void restart_deadline();
  // "; the server says: ..." when it has shown a banner, otherwise empty. Safe to print.
  std::string what_it_says() const;
  [[noreturn]] void fail(const std::string& message, const std::string& hint) const;
  std::string setting() const;  // the configuration's key that names this hop
  std::string advice() const;   // openssh_advice for this hop

  ssh_session get() const { return session_.get(); }
  std::string last_error() const;  // libssh's words, or the conduit's, safe to print
  const std::string& shown_host() const { return hop_.shown; }
  enum class Woken { kNot, kByConnection, kByOther };
  // Waits until the connection can be read (or written, when libssh has bytes to send), until `wake_fd` (-1:
  // none) can be read, or for `timeout_ms`. Without `readable` it does not watch the connection. With
  // `acknowledge` it acknowledges received bytes at once.
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
