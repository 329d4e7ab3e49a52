// A check over SSH names what keeps a login or the agent from working.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/e2e/check_fixture.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

// A login that finds a sudo of the test's own in its PATH; the real one's rules are the machine's.
class CheckThroughSudo : public CheckOverSsh {
 protected:
  explicit CheckThroughSudo(const std::shared_ptr<TempDir>& bin = std::make_shared<TempDir>())
      : CheckOverSsh({.extra_lines = {"ForceCommand PATH=" + bin->path().string() +
                                      ":$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\""}}),
        bin_(bin) {
    app_.set("REMOTE_SUDO", "yes");
  }

  void use_sudo(const std::string& script) {
    write_file(*bin_ / "sudo", "#!/bin/sh\n" + script + "\n", 0700);
  }

 private:
  std::shared_ptr<TempDir> bin_;
};

class CheckWithoutPrograms : public CheckOverSsh {
 protected:
  CheckWithoutPrograms() : CheckOverSsh({.extra_lines = {"ForceCommand /bin/false"}}) {}
};

TEST_F(CheckOverSsh, GoesThroughEveryStepAndPullsNothing) {
  expect_ready();
  std::vector<std::string> names;
  for (const auto& step : steps_) names.push_back(step["name"]);
  EXPECT_EQ(names,
            (std::vector<std::string>{"configuration", "key", "host", "host key", "login", "agent", "storage",
                                      "database", "clock", "local disk", "lock", "schedule"}))
      << words_;
  expect_step("key", "ok", "without a terminal");
  expect_step("host key", "ok", "SHA256:");
  expect_step("database", "ok", "WAL mode");
  expect_step("schedule", "warning", "litepull schedule");
  EXPECT_FALSE(fs::exists(app_.app_directory()));
  EXPECT_EQ(app_.sshd().remote_pids().size(), 0U);
}

TEST_F(CheckOverSsh, NamesAServerThatDoesNotAnswer) {
  app_.sshd().stop();
  EXPECT_EQ(check(), 3);
  expect_step("host", "FAILED", "refused");
  expect_step("login", "skipped", "");
  app_.sshd().start();
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAnUnknownHostKeyAndTheLineThatTrustsIt) {
  write_file(app_.sshd().known_hosts_path(), "");
  EXPECT_EQ(check(), 3);
  expect_step("host", "ok", "answers");
  expect_step("host key", "FAILED", app_.sshd().known_hosts_line().substr(0, 12));
  expect_step("login", "skipped", "");
  EXPECT_EQ(app_.sshd().log().find("Accepted"), std::string::npos);
  trust_as_said();
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAHostKeyThatHasChangedAndHowToRemoveTheOldOne) {
  app_.sshd().replace_host_keys();
  EXPECT_EQ(check(), 3);
  expect_step("host key", "FAILED", "CHANGED");
  expect_step("login", "skipped", "");
  const std::string said = step("host key", "FAILED");
  const std::size_t at = said.find("ssh-keygen -f ");
  ASSERT_NE(at, std::string::npos) << said;
  const std::string remedy = said.substr(at, said.find(", and trust", at) - at);
  ASSERT_TRUE(run({"/bin/sh", "-c", remedy}).ok()) << remedy;
  EXPECT_EQ(check(), 3);
  expect_step("host key", "FAILED", "not known");
  trust_as_said();
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAKeyThatTheServerDoesNotTake) {
  app_.set("SSH_KEY", app_.sshd().other_key_path());
  EXPECT_EQ(check(), 3);
  expect_step("host key", "ok", "trusted");
  expect_step("login", "FAILED", "");
  app_.set("SSH_KEY", app_.sshd().key_path());
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAKeyThatOthersCanRead) {
  ASSERT_EQ(::chmod(app_.sshd().key_path().c_str(), 0644), 0);
  check();
  expect_step("key", "warning", "chmod 600 " + app_.sshd().key_path());
  ASSERT_EQ(::chmod(app_.sshd().key_path().c_str(), 0600), 0);
  expect_ready();
  expect_step("key", "ok", "");
}

TEST_F(CheckOverSsh, NamesAPassphraseThatNobodyCouldTypeAtNight) {
  const std::string key = app_.scratch("locked");
  ASSERT_TRUE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", key}).ok());
  app_.set("SSH_KEY", key);
  check();
  expect_step("key", "warning", "passphrase");
  // As the remedy says: a key for this alone, added to authorized_keys.
  const std::string own = app_.scratch("litepull");
  ASSERT_TRUE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own}).ok());
  write_file(fs::path(app_.sshd().key_path()).parent_path() / "authorized_keys", read_file(own + ".pub"));
  app_.set("SSH_KEY", own);
  expect_ready();
  expect_step("key", "ok", "usable without a terminal");
}

TEST_F(CheckOverSsh, NamesAPublicKeyInPlaceOfThePrivateOne) {
  app_.set("SSH_KEY", app_.sshd().key_path() + ".pub");
  EXPECT_EQ(check(), 3);
  expect_step("key", "warning", ".pub holds only the public half");
  expect_step("login", "FAILED", "name the private key itself, not the .pub file");
  app_.set("SSH_KEY", app_.sshd().key_path());
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAMissingAgent) {
  const std::string nowhere = app_.scratch("no-agent");
  app_.set_environment("LITEPULL_AGENT", nowhere);
  EXPECT_EQ(check(), 1);
  EXPECT_NE(words_.find("no-agent"), std::string::npos) << words_;
  app_.set_environment("LITEPULL_AGENT", built_program("litepull-agent"));
  expect_ready();
}

TEST_F(CheckOverSsh, SaysWhereTheAgentIsKeptAndWhyNotElsewhere) {
  const SmallDisk disk(app_.sshd().remote_cache(), "size=512m,mode=0755", SmallDisk::kNoExec);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  expect_ready();
  expect_step("agent", "ok", "a new build would go to /");
  expect_step("agent", "ok", app_.sshd().remote_cache() + "/litepull: programs cannot run there");
}

TEST_F(CheckOverSsh, NamesAFullDirectoryOfTheAgents) {
  const SmallDisk disk(app_.sshd().remote_cache(), "size=64k,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  expect_ready();
  expect_step("agent", "ok", app_.sshd().remote_cache() + "/litepull: it has no room");
}

TEST_F(CheckWithoutPrograms, NamesALoginThatRunsNothing) {
  EXPECT_EQ(check(), 1);
  expect_step("login", "ok", "");
  expect_step("agent", "FAILED", "no ForceCommand, no nologin shell");
  expect_step("storage", "skipped", "");
}

TEST_F(CheckThroughSudo, NamesASudoThatAsksForAPasswordAndTheRuleThatAllowsIt) {
  use_sudo("echo 'sudo: a password is required' >&2; exit 1");
  EXPECT_EQ(check(), 1);
  expect_step("agent", "FAILED", "sudo: a password is required");
  expect_step("agent", "FAILED",
              "NOPASSWD: /usr/local/lib/litepull/agent-* --storage " + app_.storage() +
                  "' > /etc/sudoers.d/litepull-app");
  use_sudo("shift; SUDO_UID=0 exec \"$@\"");  // what the rule is for: no password, the program as it is named
  expect_ready();
  expect_step("agent", "ok", "through sudo");
}

TEST_F(CheckOverSsh, LeavesNothingOnTheServerWhenItIsKilled) {
  for (int delay_ms = 0; delay_ms < 600; delay_ms += 40) {
    Child child({built_program("litepull"), "check", app_.config_path()},
                {.stdout_path = "/dev/null", .stderr_path = "/dev/null"});
    pause_for(Milliseconds(delay_ms));
    child.kill(SIGKILL);
    child.wait(Milliseconds(5'000));
  }
  EXPECT_TRUE(eventually([&] { return app_.sshd().remote_pids().empty(); }));
  expect_ready();
}

}  // namespace
}  // namespace litepull::test
