// Servers beside the one of a fixture, with its host key and its authorized key: an sshd with another login
// shell or an account without a password, told to it by a /etc/passwd of its own in a mount namespace of its
// own, and a Dropbear. Both need root and that namespace. Gone with the object, with all that a session
// started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/sshd_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {

struct ServerOptions {
  std::vector<std::string> lines{};       // of sshd_config; the first value of a keyword counts
  std::vector<std::string> last_lines{};  // Match blocks
  std::string shell{};                    // empty: as the system has it
  bool without_password = false;          // the account's
  std::string pam{};                      // of the service sshd; empty: as the system has it
  bool is_dropbear = false;
};

class SshServer {
 public:
  SshServer(SshdFixture& model,
            const ServerOptions& options);  // and adds its port to the model's known_hosts
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;
  ~SshServer();

  // Whether this machine lets a test have a /etc/passwd of its own.
  static bool can_have_accounts();
  static bool has_dropbear();

  std::uint16_t port() const { return port_; }
  std::string home() const { return dir_ / "home"; }
  std::string cache() const { return dir_ / "cache"; }
  std::string log() const { return read_file(dir_ / "log"); }

 private:
  std::string write_accounts(const std::string& user, const ServerOptions& options);
  std::vector<std::string> sshd(SshdFixture& model, const ServerOptions& options);
  std::vector<std::string> dropbear(SshdFixture& model, const ServerOptions& options);

  TempDir dir_;
  std::uint16_t port_;
  std::optional<Child> server_;
};

}  // namespace litepull::test
