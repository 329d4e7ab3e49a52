// One command on a server from its start to its end: its input goes in, and what it prints comes out.
#pragma once

#include <libssh/libssh.h>

#include <cstdint>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

class SshSession;

// What a remote command printed and how it ended.
struct CommandResult {
  int status = -1;     // -1 when it ended without one
  std::string output;  // its last 16 KiB: a login shell may have printed much before
  std::string errors;  // the end of its standard error, safe to print
};

class RemoteRun {
 public:
  // `channel` is of `session` and runs the command already. None of `input` is sent before the command has
  // printed `ready`: the login shell's start-up files must not read it. Everything taken by reference must
  // outlive this.
  RemoteRun(SshSession& session, ssh_channel channel, const std::string& input, const std::string& ready,
            int idle_timeout_s, const Cancel& cancel);

  // Returns once the command has ended. Throws Error{kConnection} when the connection breaks, when nothing
  // moves for the idle timeout, or when a login shell prints without end; Error{kCancelled}.
  CommandResult run();

 private:
  bool receive();
  bool receive_from(int is_stderr, std::string& into);
  bool send();
  void end_input();
  void require_progress(bool moved);

  SshSession& session_;
  ssh_channel channel_;
  const std::string& input_;
  const std::string& ready_;
  const int idle_timeout_s_;
  const Cancel& cancel_;
  CommandResult result_;
  std::size_t sent_bytes_ = 0, received_bytes_ = 0;
  bool is_ready_ = false, has_ended_input_ = false;
  std::uint64_t idle_deadline_us_ = 0;
  std::uint64_t patience_ends_us_ = 0;  // a shell that prints something now and then is never idle for long
};

}  // namespace litepull
