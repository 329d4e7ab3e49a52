// Logins to a real sshd, and what may keep them from ending: an SSH agent, a resolver, a command of the
// user's, a passphrase. litepull gives each up in time and names it, and the app's lock is then free.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "client/keys/base64.h"
#include "common/error.h"
#include "tests/e2e/ssh_login_fixture.h"
#include "tests/e2e/ssh_server.h"
#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/terminal.h"

namespace litepull::test {
namespace {

std::string with_length(const std::string& bytes) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(bytes.size() >> shift & 0xFF);
  return text + bytes;
}

enum class Manner { kAcceptsNobody, kSaysNothing, kNeverSigns, kRefusesToSign, kTalksNonsense, kHangsUp };

// An SSH agent that has one key, and its own manner of being of no use.
class BadAgent {
 public:
  BadAgent(const std::string& path, Manner manner, const std::string& public_key_file)
      : manner_(manner),
        socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        address_(address_of(path)) {
    const std::string line = read_file(public_key_file);
    const std::size_t from = line.find(' ') + 1;
    blob_ = from_base64(line.substr(from, line.find_first_of(" \n", from) - from));
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0)
      throw_errno("bind");
    if (::listen(socket_.get(), manner == Manner::kAcceptsNobody ? 0 : 8) != 0) throw_errno("listen");
    if (manner == Manner::kAcceptsNobody)
      fill_queue();
    else
      thread_ = std::thread([this] { serve(); });
  }
  ~BadAgent() {
    ::shutdown(socket_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }

 private:
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }

  void fill_queue() {
    for (int i = 0; i < 4; ++i) {
      waiting_.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(waiting_.back().get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_);
    }
  }

  void serve() {
    for (int fd; (fd = ::accept(socket_.get(), nullptr, nullptr)) >= 0;) {
      waiting_.emplace_back(fd);
      if (manner_ == Manner::kHangsUp)
        waiting_.pop_back();
      else if (manner_ != Manner::kSaysNothing)
        talk(fd);
    }
  }

  void talk(int fd) {
    char head[5];
    for (std::string rest; ::recv(fd, head, sizeof head, MSG_WAITALL) == sizeof head;) {
      rest.resize((static_cast<unsigned char>(head[2]) << 8U | static_cast<unsigned char>(head[3])) - 1U);
      if (!rest.empty() && ::recv(fd, rest.data(), rest.size(), MSG_WAITALL) <= 0) return;
      std::string reply =
          with_length(std::string("\x0C\0\0\0\1", 5) + with_length(blob_) + with_length("a comment"));
      if (head[4] == 13 && manner_ == Manner::kNeverSigns) return;
      if (head[4] == 13) reply = with_length("\x05");
      if (manner_ == Manner::kTalksNonsense) reply = "\xFF\xFF\xFF\xFF and so on";
      if (::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  const Manner manner_;
  const Fd socket_;
  sockaddr_un address_;
  std::string blob_;
  std::vector<Fd> waiting_;
  std::thread thread_;
};

TEST_F(SshLogin, AnSshAgentThatSaysNothingIsGivenUpAndNamed) {
  use_agent_alone();
  const BadAgent agent(agent_path(), Manner::kSaysNothing, public_key());
  expect_failure(3, {"the SSH agent (" + agent_path() + ") has not answered within 1 s"});
  app_.set("SSH_KEY", app_.sshd().key_path());
  expect_pulled();
}

TEST_F(SshLogin, AnSshAgentThatAcceptsNobodyIsGivenUpAndNamed) {
  use_agent_alone();
  const BadAgent agent(agent_path(), Manner::kAcceptsNobody, public_key());
  expect_failure(3, {"the SSH agent (" + agent_path() + ") has not accepted a connection within 1 s"});
}

TEST_F(SshLogin, ASignatureThatNeverComesIsGivenUpAndItsKeyNamed) {
  use_agent_alone();
  const BadAgent agent(agent_path(), Manner::kNeverSigns, public_key());
  expect_failure(3, {"has not answered within 1 s when asked to sign with the key 'a comment'", "confirm"});
}

TEST_F(SshLogin, AnSshAgentThatRefusesOrTalksNonsenseIsNamed) {
  use_agent_alone();
  const std::pair<Manner, std::string> manners[] = {
      {Manner::kRefusesToSign, "the SSH agent does not sign with 'a comment'"},
      {Manner::kTalksNonsense, "gives an answer that is not valid"},
      {Manner::kHangsUp, "has closed the connection"}};
  for (const auto& [manner, words] : manners) {
    const BadAgent agent(agent_path(), manner, public_key());
    expect_failure(3, {words});
    fs::remove(agent_path());
  }
}

TEST_F(SshLogin, AStuckSshAgentDoesNotKeepAKeyFileFromBeingUsed) {
  const BadAgent agent(agent_path(), Manner::kSaysNothing, public_key());
  app_.set_environment("SSH_AUTH_SOCK", agent_path());
  use_config("  IdentityFile " + app_.sshd().key_path() + "\n");
  expect_pulled();
}

TEST_F(SshLogin, AWaitForTheSshAgentEndsWithASignalAndAtTheDeadline) {
  use_agent_alone();
  const BadAgent agent(agent_path(), Manner::kNeverSigns, public_key());
  expect_stoppable([&] { return has_connected(); }, {SIGINT, SIGTERM, SIGHUP});
}

TEST_F(SshLogin, ANameThatIsNeverResolvedIsGivenUpAndNamed) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer must be loaded first";
#endif
  app_.set_environment("LD_PRELOAD", built_program("slow_names.so"));
  expect_failure(3, {"name resolution has not answered within 1 s"});
  expect_stoppable([&] { return fs::exists(app_.app_directory() + "/.lock"); });
}

TEST_F(SshLogin, AMatchExecThatNeverEndsIsGivenUpAndNamed) {
  use_config("Match exec \"touch " + app_.scratch("asked") + "; sleep 1000\"\n  Compression no\n");
  expect_failure(3, {"ssh -G", "within 1 s", "Match exec"});
  fs::remove(app_.scratch("asked"));
  expect_stoppable([&] { return fs::remove(app_.scratch("asked")); });
}

TEST_F(SshLogin, ASilentProxyCommandIsGivenUpAndNamed) {
  write_file(app_.scratch("proxy.sh"),
             "touch " + app_.scratch("asked") + "; echo thinking >&2; exec sleep 1000\n");
  use_config("  ProxyCommand sh " + app_.scratch("proxy.sh") + "\n");
  expect_failure(3, {"has not answered within 1 s", "over the ProxyCommand of SSH_CONFIG", "thinking"});
  fs::remove(app_.scratch("asked"));
  expect_stoppable([&] { return fs::remove(app_.scratch("asked")); });
}

TEST_F(SshLogin, AProxyCommandThatEndsAtOnceIsNamed) {
  use_config("  ProxyCommand true\n");
  expect_failure(3, {"over the ProxyCommand of SSH_CONFIG"});
}

TEST_F(SshLogin, AJumpHostThatLeadsToASilentServerIsNamed) {
  const SilentServer silent;
  app_.sshd().trust_port(silent.port());
  app_.set("SSH_PROXY", app_.sshd().user() + "@127.0.0.1:" + std::to_string(app_.sshd().port()));
  app_.reach_through(silent.port());
  expect_failure(3, {"has not answered within 1 s", "over jump host 127.0.0.1"});
}

class SlowKey : public SshLogin {
 protected:
  // Some minutes of work for each passphrase that is tried.
  SlowKey() : key_(app_.scratch("slow_key")) {
    fs::copy_file(app_.sshd().key_path(), key_);
    fs::permissions(key_, fs::perms(0600));
    EXPECT_TRUE(run({"ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-a", "20", "-f", key_}).ok());
    raise_rounds(read_file(key_));
    app_.set("SSH_KEY", key_);
  }

  // In place of `ssh-keygen -a 1000000`, which would take its time as well: the number of rounds is written
  // into the file, so no passphrase opens it any more.
  void raise_rounds(const std::string& pem) {
    std::string body = pem.substr(pem.find('\n') + 1);
    body.erase(body.find("-----END"));
    std::erase(body, '\n');
    std::string bytes = from_base64(body);
    const std::size_t at = bytes.find(std::string("\0\0\0\x14", 4), 40);
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, 4, std::string("\0\x0F\x42\x40", 4));
    write_file(app_.scratch("bytes"), bytes);
    const ProcessResult encoded = run({"base64", "-w", "70", app_.scratch("bytes")});
    write_file(key_,
               "-----BEGIN OPENSSH PRIVATE KEY-----\n" + encoded.out + "-----END OPENSSH PRIVATE KEY-----\n");
  }

  std::string key_;
};

TEST_F(SlowKey, IsGivenUpAtTheConnectTimeoutAndNamed) {
  Terminal terminal({built_program("litepull"), "backup", "--quiet", app_.config_path()},
                    {{"SSH_AUTH_SOCK", ""}});
  ASSERT_TRUE(terminal.wait_for("Passphrase of the key " + key_, 1)) << terminal.shown();
  terminal.type("secret\n");
  EXPECT_TRUE(terminal.wait_for("got nowhere for 1 s", 1)) << terminal.shown();
  EXPECT_EQ(terminal.exit_code(), 3) << terminal.shown();
}

TEST_F(SlowKey, CtrlCEndsTheWorkAndTheQuestion) {
  app_.set("CONNECT_TIMEOUT", "60");
  for (const std::string typed : {"secret\n", ""}) {
    Terminal terminal({built_program("litepull"), "backup", "--quiet", app_.config_path()},
                      {{"SSH_AUTH_SOCK", ""}});
    ASSERT_TRUE(terminal.wait_for("Passphrase of the key " + key_, 1)) << terminal.shown();
    terminal.type(typed);
    pause_for(Milliseconds(300));
    terminal.type("\x03");
    EXPECT_TRUE(terminal.wait_for("interrupted", 1)) << terminal.shown();
    EXPECT_EQ(terminal.exit_code(), 130) << terminal.shown();
  }
}

TEST_F(SshLogin, AServerThatHasEnoughOfOurKeysIsQuotedAtOnceAndTheRemedyWorks) {
  app_.set("CONNECT_TIMEOUT", "30");
  std::vector<std::string> keys;
  for (int i = 0; i < 7; ++i) keys.push_back(new_key("key" + std::to_string(i)));
  keys.push_back(app_.sshd().key_path());
  const Child agent = agent_with(keys);
  app_.set("SSH_KEY", "");
  expect_failure(3, {"Too many authentication failures", "keys were offered", "SSH_KEY"});
  app_.set("SSH_KEY", public_key());
  expect_pulled();
}

TEST_F(SshLogin, AKeyOfTheAgentNeedsOnlyItsPublicFileHere) {
  const Child agent = agent_with({app_.sshd().key_path()});
  fs::copy_file(public_key(), app_.scratch("only.pub"));
  use_config("  IdentityFile " + app_.scratch("only") + "\n  IdentitiesOnly yes\n");
  expect_pulled();
  app_.set_environment("SSH_AUTH_SOCK", "");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 3) << run.words();
}

TEST_F(SshLogin, CheckSaysOfAPublicFileThatTheSshAgentMustHaveTheKey) {
  const Child agent = agent_with({app_.sshd().key_path()});
  app_.set("SSH_KEY", public_key());
  const ProcessResult check = app_.litepull({"check"});
  EXPECT_TRUE(check.ok()) << check.out << check.err;
  EXPECT_NE(check.out.find("only the public half"), std::string::npos) << check.out;
}

class SecondFactor : public SshLogin {
 protected:
  SecondFactor()
      : SshLogin(
            {"AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes"}) {}
};

TEST_F(SecondFactor, IsToldFromAKeyThatWasRefusedAndTheRemedyWorks) {
  const BackupRun run = expect_failure(
      3, {"the key was accepted (" + app_.sshd().key_path() + ")", "another factor (keyboard-interactive)"});
  const std::string hint = run.json["error"]["hint"];
  ASSERT_NE(hint.find("'Match User " + app_.sshd().user() + "'"), std::string::npos) << hint;
  ASSERT_NE(hint.find("'AuthenticationMethods publickey'"), std::string::npos) << hint;
  const std::string config = fs::path(app_.sshd().key_path()).parent_path() / "sshd_config";
  write_file(config,
             read_file(config) + "Match User " + app_.sshd().user() + "\nAuthenticationMethods publickey\n");
  app_.sshd().restart();
  expect_pulled();
}

class NoKeys : public SshLogin {
 protected:
  NoKeys() : SshLogin({"PubkeyAuthentication no", "PasswordAuthentication yes", "Banner /etc/hostname"}) {}
};

TEST_F(NoKeys, IsToldFromAKeyThatWasRefusedWithTheServersOwnWords) {
  const std::string name = read_file("/etc/hostname");
  expect_failure(3, {"the server takes no keys for this login (it offers password",
                     "the server says: " + name.substr(0, name.find('\n')), "PubkeyAuthentication yes"});
}

class OneSession : public SshLogin {
 protected:
  OneSession() : SshLogin({"MaxSessions 1"}) {}
};

TEST_F(OneSession, IsEnoughForARunThatUploadsTheAgent) {
  app_.set("CONNECT_TIMEOUT", "15");
  expect_pulled();
  EXPECT_EQ(app_.litepull({"check"}).status.code, 0);
}

TEST(SshAccount, WithoutAPasswordIsLetInAsSshIs) {
  if (!SshServer::can_have_accounts()) GTEST_SKIP() << "needs root and a mount namespace";
  PullFixture app(Over::kSsh);
  make_small_database(app.in_storage("main.sqlite3"));
  ServerOptions options;
  options.without_password = true;
  options.lines = {"PasswordAuthentication yes", "PermitEmptyPasswords yes", "PubkeyAuthentication no"};
  const SshServer server(app.sshd(), options);
  app.set("SERVER_PORT", std::to_string(server.port()));
  app.set_environment("SSH_AUTH_SOCK", "");
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(server.log().find("Accepted none for"), std::string::npos) << server.log();
}

}  // namespace
}  // namespace litepull::test
