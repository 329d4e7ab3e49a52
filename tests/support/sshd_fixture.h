// A real OpenSSH server on 127.0.0.1, private to one test: its keys, its configuration, its log and what is
// uploaded to it are in a directory that goes with it. It lets in the user who runs the test, with one key.
//
// Sessions get XDG_CACHE_HOME inside that directory, so nothing lands in a real home. Used from one thread.
// The constructor throws Error when no sshd is installed or it does not come up.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {

struct SshdOptions {
  std::vector<std::string> host_key_types{"ed25519"};  // of ed25519, ecdsa, rsa
  std::vector<std::string> extra_lines{};              // of sshd_config; the first value of a keyword counts
};

class SshdFixture {
 public:
  explicit SshdFixture(const SshdOptions& options = {});
  SshdFixture(const SshdFixture&) = delete;
  SshdFixture& operator=(const SshdFixture&) = delete;
  ~SshdFixture();  // ends the server, its sessions and what they left running

  std::uint16_t port() const { return port_; }
  std::string user() const;
  std::string key_path() const { return dir_ / "user_key"; }
  std::string other_key_path() const { return dir_ / "other_key"; }  // sound, but not authorized
  std::string known_hosts_path() const { return dir_ / "known_hosts"; }
  std::string remote_cache() const { return dir_ / "remote-cache"; }  // XDG_CACHE_HOME of the sessions
  std::string log() const;                                            // all of it, over restarts

  // "[127.0.0.1]:PORT TYPE BASE64": the line for known_hosts when the host is reached at `port`, as through a
  // TcpProxy; 0 is our own port.
  std::string known_hosts_line(const std::string& key_type = "ed25519", std::uint16_t port = 0) const;
  void trust_port(std::uint16_t port);  // adds the lines for `port` to known_hosts

  void stop();
  void start();  // on the same port
  void restart() {
    stop();
    start();
  }
  void replace_host_keys();  // and restart: known_hosts is then wrong

  // The processes of sshd itself that serve connections; what they started is not among them.
  std::vector<pid_t> session_pids() const;
  void kill_session_processes(int signal = SIGKILL);

  // Every process that a session started and that still lives, also one whose sshd is gone.
  std::vector<pid_t> remote_pids() const;
  // The agents among them.
  std::vector<pid_t> agent_pids() const;

 private:
  void make_keys();
  void write_config(const SshdOptions& options);
  bool try_to_start();

  TempDir dir_;
  std::string program_;
  std::vector<std::string> host_key_types_;
  std::uint16_t port_ = 0;
  std::optional<Child> sshd_;
};

}  // namespace litepull::test
