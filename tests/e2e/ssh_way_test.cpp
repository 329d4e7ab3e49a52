// Ways to a server other than one TCP connection: over a jump host or a command, as the user's OpenSSH
// configuration says. There are two real sshds. Both must be trusted alike, and nothing is left running.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/loopback.h"
#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

SshdOptions talkative() {
  SshdOptions options;
  options.extra_lines = {"LogLevel DEBUG1"};
  return options;
}

class SshWay : public testing::Test {
 protected:
  SshWay() : app_(Over::kSsh, talkative()), jump_(talkative()) {
    app_.set("CONNECT_TIMEOUT", "5");
    // One key for both, and one file of trusted host keys.
    write_file(fs::path(jump_.key_path()).parent_path() / "authorized_keys",
               read_file(app_.sshd().key_path() + ".pub"));
    trust(jump_);
    app_.make_bank("main.sqlite3", "wal", {"--rate", "20"});
  }

  void trust(const SshdFixture& sshd) {
    const std::string path = app_.sshd().known_hosts_path();
    write_file(path, read_file(path) + sshd.known_hosts_line());
  }

  static std::string at(const SshdFixture& sshd) { return "127.0.0.1:" + std::to_string(sshd.port()); }
  std::string proxy() const { return jump_.user() + "@" + at(jump_); }

  static bool authentication_was_tried(const SshdFixture& sshd) {
    EXPECT_TRUE(eventually([&] { return sshd.session_pids().empty(); }));
    return sshd.log().find("userauth-request") != std::string::npos;
  }

  BackupRun expect_refusal(int exit_code, const std::vector<std::string>& words) {
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), exit_code) << run.words();
    for (const std::string& word : words)
      EXPECT_NE(run.process.err.find(word), std::string::npos) << "for want of: " << word << "\n"
                                                               << run.words();
    EXPECT_TRUE(app_.snapshots().empty());
    return run;
  }

  void expect_pulled() {
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
  }

  // SSH_CONFIG with one alias for each sshd; nothing of the server in the `.env` file but its alias.
  void use_config(const std::string& of_server, const std::string& of_all = "") {
    write_file(app_.scratch("ssh_config"),
               "Host app\n  HostName 127.0.0.1\n  Port " + std::to_string(app_.sshd().port()) + "\n" +
                   of_server + "\nHost bastion\n  HostName 127.0.0.1\n  Port " +
                   std::to_string(jump_.port()) + "\nHost *\n  User " + app_.sshd().user() +
                   "\n  IdentityFile " + app_.sshd().key_path() + "\n  IdentitiesOnly yes\n" + of_all);
    for (const char* key : {"SERVER_USER", "SERVER_PORT", "SSH_KEY", "SSH_KNOWN_HOSTS"}) app_.set(key, "");
    app_.set("SERVER_HOST", "app");
    app_.set("SSH_CONFIG", app_.scratch("ssh_config"));
  }
  std::string known_hosts() { return "  UserKnownHostsFile " + app_.sshd().known_hosts_path() + "\n"; }

  void use_proxy_script(const std::string& script) {
    write_file(app_.scratch("proxy.sh"), "echo $$ > " + app_.scratch("proxy.pid") + "\n" + script);
    use_config("  ProxyCommand sh " + app_.scratch("proxy.sh") + " %h %p\n", known_hosts());
  }
  bool proxy_script_runs() { return ::kill(std::stoi(read_file(app_.scratch("proxy.pid"))), 0) == 0; }

  PullFixture app_;
  SshdFixture jump_;
};

TEST_F(SshWay, AJumpHostIsGoneThroughAndNothingOfOursIsLeftThere) {
  app_.set("SSH_PROXY", proxy());
  expect_pulled();
  EXPECT_TRUE(authentication_was_tried(jump_));
  EXPECT_TRUE(fs::is_empty(jump_.remote_cache()));
  EXPECT_EQ(app_.sshd().session_pids().size(), 0U);
}

TEST_F(SshWay, AJumpHostWithoutAUserIsForRoot) {
  if (jump_.user() != "root") GTEST_SKIP() << "the sshd lets only " << jump_.user() << " in";
  app_.set("SSH_PROXY", at(jump_));
  expect_pulled();
}

TEST_F(SshWay, AJumpHostThatIsNotKnownIsRefusedBeforeAnyLogin) {
  app_.set("SSH_PROXY", proxy());
  write_file(app_.sshd().known_hosts_path(), app_.sshd().known_hosts_line());
  expect_refusal(3, {"jump host " + at(jump_) + ": its host key is not known"});
  EXPECT_FALSE(authentication_was_tried(jump_)) << jump_.log();
  EXPECT_FALSE(authentication_was_tried(app_.sshd()));
}

TEST_F(SshWay, AJumpHostWithAChangedKeyIsRefusedBeforeAnyLogin) {
  app_.set("SSH_PROXY", proxy());
  jump_.replace_host_keys();
  expect_refusal(3, {"jump host " + at(jump_), "CHANGED"});
  EXPECT_FALSE(authentication_was_tried(jump_)) << jump_.log();
}

TEST_F(SshWay, AServerBehindAJumpHostMustBeKnownJustAsWellAndTheRemedyWorks) {
  app_.set("SSH_PROXY", proxy());
  write_file(app_.sshd().known_hosts_path(), jump_.known_hosts_line());
  const BackupRun run = expect_refusal(3, {at(app_.sshd()) + ": its host key is not known"});
  EXPECT_EQ(run.process.err.find("jump host"), std::string::npos) << run.words();
  EXPECT_FALSE(authentication_was_tried(app_.sshd())) << app_.sshd().log();
  const std::string hint = run.json["error"]["hint"];
  ASSERT_TRUE(litepull::test::run({"sh", "-c", hint.substr(hint.find("echo '"))}).ok()) << hint;
  expect_pulled();
}

TEST_F(SshWay, AJumpHostThatDoesNotLetUsInIsNamed) {
  app_.set("SSH_PROXY", "nobody-here@" + at(jump_));
  expect_refusal(3, {"jump host " + at(jump_) + ": login as nobody-here failed"});
}

TEST_F(SshWay, AJumpHostThatCannotReachTheServerIsNamed) {
  app_.set("SSH_PROXY", proxy());
  const ClosedPort closed;
  app_.reach_through(closed.port());
  expect_refusal(3, {"jump host " + at(jump_) + ": it does not connect to"});
}

TEST_F(SshWay, AJumpHostThatIsNotThereIsNamed) {
  const ClosedPort closed;
  app_.set("SSH_PROXY", "root@127.0.0.1:" + std::to_string(closed.port()));
  expect_refusal(3, {"jump host 127.0.0.1", "cannot connect", "SSH_PROXY"});
}

TEST_F(SshWay, AJumpHostThatDiesInTheMiddleEndsTheRunAndTheNextOneWorks) {
  app_.make_bank("large.sqlite3", "wal", {"--accounts", "60000", "--rate", "20"});
  SshdFixture* jump = &jump_;
  app_.set("SSH_PROXY", proxy());
  Child run = app_.start_backup();
  ASSERT_TRUE(eventually([&] { return !app_.sshd().remote_pids().empty(); }));
  jump->kill_session_processes();
  const BackupRun ended = app_.finish_backup(run, Milliseconds(30'000));
  EXPECT_EQ(ended.exit_code(), 1) << ended.words();
  EXPECT_TRUE(app_.snapshots().empty());
  expect_pulled();
}

TEST_F(SshWay, AnAliasOfTheUsersConfigurationIsEnough) {
  use_config(known_hosts());
  expect_pulled();
}

TEST_F(SshWay, StrictHostKeyCheckingNoDoesNotMakeAnUnknownKeyAKnownOne) {
  use_config(
      "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  GlobalKnownHostsFile /dev/null\n");
  expect_refusal(3, {"is not known"});
  EXPECT_FALSE(authentication_was_tried(app_.sshd())) << app_.sshd().log();
}

TEST_F(SshWay, StrictHostKeyCheckingNoDoesNotWeakenTheCheckOfAJumpHostEither) {
  use_config("  ProxyJump bastion\n", "  StrictHostKeyChecking no\n" + known_hosts());
  write_file(app_.sshd().known_hosts_path(), app_.sshd().known_hosts_line());
  expect_refusal(3, {"jump host bastion", "is not known"});
  EXPECT_FALSE(authentication_was_tried(jump_)) << jump_.log();
}

TEST_F(SshWay, ProxyJumpIsFollowed) {
  use_config("  ProxyJump bastion\n", known_hosts());
  expect_pulled();
  EXPECT_TRUE(authentication_was_tried(jump_));
}

TEST_F(SshWay, AProxyJumpThatLeadsInACircleIsAConfigurationError) {
  use_config("", "  ProxyJump bastion\n" + known_hosts());
  expect_refusal(2, {"ProxyJump none"});
}

TEST_F(SshWay, ProxyCommandIsRunAndGoneAfterwards) {
  use_proxy_script("exec ssh -F none -i " + app_.sshd().key_path() +
                   " -o UserKnownHostsFile=" + app_.sshd().known_hosts_path() + " -p " +
                   std::to_string(jump_.port()) + " -W $1:$2 " + jump_.user() + "@127.0.0.1\n");
  expect_pulled();
  EXPECT_TRUE(authentication_was_tried(jump_));
  EXPECT_FALSE(proxy_script_runs());
}

TEST_F(SshWay, AProxyCommandThatNeverEndsIsEndedWithTheRun) {
  use_proxy_script("trap '' TERM\nsleep 1000 &\nwait\nsleep 1000\n");
  app_.set("CONNECT_TIMEOUT", "1");
  expect_refusal(3, {"has not answered within 1 s"});
  EXPECT_FALSE(proxy_script_runs());
}

TEST_F(SshWay, WhatAProxyCommandSaysIsShownWhenItFails) {
  use_config("  ProxyCommand echo no way out >&2\n", known_hosts());
  expect_refusal(3, {"ProxyCommand: no way out"});
}

TEST_F(SshWay, WhatTheEnvFileSetsWinsOverTheUsersConfiguration) {
  use_config("  UserKnownHostsFile /dev/null\n");
  write_file(app_.scratch("ssh_config"),
             "Host app\n  HostName 127.0.0.1\n  User nobody-here\n  Port 9\n"
             "  IdentityFile /nonexistent\n  UserKnownHostsFile /dev/null\n");
  app_.set("SERVER_USER", app_.sshd().user());
  app_.set("SERVER_PORT", std::to_string(app_.sshd().port()));
  app_.set("SSH_KEY", app_.sshd().key_path());
  app_.set("SSH_KNOWN_HOSTS", app_.sshd().known_hosts_path());
  expect_pulled();
}

TEST_F(SshWay, AHostKeyAliasIsTheNameThatIsLookedUp) {
  use_config("  HostKeyAlias billing\n" + known_hosts());
  expect_refusal(3, {"has no line for billing"});
  const std::string line = app_.sshd().known_hosts_line();
  write_file(app_.sshd().known_hosts_path(), "billing" + line.substr(line.find(' ')));
  expect_pulled();
}

TEST_F(SshWay, AConfigurationThatOthersCanChangeIsRefused) {
  use_config(known_hosts());
  fs::permissions(app_.scratch("ssh_config"), fs::perms(0666));
  expect_refusal(2, {"SSH_CONFIG", "could be changed by others"});
}

TEST_F(SshWay, AConfigurationThatOpenSshRefusesIsAConfigurationError) {
  use_config("  NoSuchKeyword yes\n");
  expect_refusal(2, {"OpenSSH refuses it", "osuchkeyword"});
}

TEST(RemoteSudo, TheAgentIsStartedThroughTheRealSudoAndRestoresToo) {
  if (::geteuid() != 0 || !run({"sh", "-c", "sudo -n true"}).ok())
    GTEST_SKIP() << "needs root, whom sudo asks for no password";
  PullFixture app(Over::kSsh);
  app.set("REMOTE_SUDO", "yes");
  app.make_bank("main.sqlite3", "wal", {"--rate", "20"});
  const BackupRun backup = app.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const ProcessResult restored =
      run({built_program("litepull"), "restore", app.config_path(), "latest", "--to-server", "--yes", "app"});
  EXPECT_TRUE(restored.ok()) << restored.out << restored.err;
}

}  // namespace
}  // namespace litepull::test
