// A login that works with `ssh host` and not with litepull: the hint names what of ~/.ssh/config is missing,
// and following it helps. OpenSSH finds that file through the user's entry in the system, so each run has a
// home of the test's own mounted over it.
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class OpenSshAdvice : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !run({"unshare", "-m", "true"}).ok())
      GTEST_SKIP() << "needs root and mount namespaces";
    app_.make_bank("main.sqlite3", "wal");
    fs::create_directories(ssh_directory());
    fs::permissions(ssh_directory(), fs::perms(0700));
    fs::copy_file(app_.sshd().key_path(), ssh_directory() + "/deploy_key");
    app_.set("SSH_KEY", "");
    app_.set_environment("SSH_AUTH_SOCK", "");
  }

  std::string ssh_directory() const { return app_.scratch("home/.ssh"); }
  std::string port() { return std::to_string(app_.sshd().port()); }

  void write_ssh_config(const std::string& text) { write_file(ssh_directory() + "/config", text, 0600); }

  ProcessResult litepull(const std::string& command) const {
    const passwd* self = ::getpwuid(::geteuid());
    RunOptions options;
    options.env = {{"SSH_AUTH_SOCK", ""}, {"HOME", home_.empty() ? self->pw_dir : home_}};
    return run({"unshare", "-m", "sh", "-c",
                "mount --make-rprivate / && mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh",
                app_.scratch("home"), self->pw_dir, built_program("litepull"), command, app_.config_path()},
               options);
  }

  void expect_hint(const std::string& words) {
    const ProcessResult said = litepull("backup");
    EXPECT_EQ(said.status.code, 3) << said.out << said.err;
    EXPECT_NE(said.err.find(words), std::string::npos) << "for want of: " << words << "\n" << said.err;
    const ProcessResult checked = litepull("check");
    EXPECT_NE(checked.out.find(words), std::string::npos) << checked.out << checked.err;
  }

  void expect_pulled() {
    app_.set("SSH_CONFIG", "yes");
    const ProcessResult said = litepull("backup");
    EXPECT_EQ(said.status.code, 0) << said.out << said.err;
  }

  PullFixture app_{Over::kSsh};
  std::string home_{};  // $HOME, where it is not what the system says
};

TEST_F(OpenSshAdvice, AKeyThatOnlyOpenSshKnowsOfIsNamed) {
  write_ssh_config("Host 127.0.0.1\n  IdentityFile ~/.ssh/deploy_key\n");
  expect_hint("set SSH_CONFIG=yes, since ~/.ssh/config has an IdentityFile for 127.0.0.1; or put the key's");
  expect_pulled();
}

TEST_F(OpenSshAdvice, ATildeIsNotShownForAHomeThatTheShellWouldNotTakeItFor) {
  write_ssh_config("Host 127.0.0.1\n  IdentityFile ~/.ssh/deploy_key\n");
  home_ = app_.scratch("elsewhere");
  const std::string real = ::getpwuid(::geteuid())->pw_dir;
  expect_hint("since " + real + "/.ssh/config has an IdentityFile");
  expect_hint("nor a key in " + real + "/.ssh was accepted");
}

TEST_F(OpenSshAdvice, AnAliasIsNamedAndThePortThatOverridesIts) {
  write_ssh_config("Host litepull-alias\n  HostName 127.0.0.1\n  Port " + port() +
                   "\n  IdentityFile ~/.ssh/deploy_key\n");
  app_.set("SERVER_HOST", "litepull-alias");
  app_.set("SERVER_PORT", "");
  expect_hint("~/.ssh/config has a HostName, a Port and an IdentityFile for litepull-alias; or check");
  app_.set("SERVER_PORT", "1");
  expect_hint("for litepull-alias, and remove the line SERVER_PORT=1, which overrides its Port " + port());
  app_.set("SSH_CONFIG", "yes");
  expect_hint("remove the line SERVER_PORT=1, which overrides its Port " + port());
  app_.set("SERVER_PORT", "");
  expect_pulled();
}

TEST_F(OpenSshAdvice, NothingIsAdvisedWhereTheFileSaysNothingOfTheHost) {
  write_ssh_config("Host other\n  IdentityFile ~/.ssh/deploy_key\nHost *\n  IdentityFile ~/.ssh/missing\n");
  const ProcessResult said = litepull("backup");
  EXPECT_EQ(said.status.code, 3) << said.err;
  EXPECT_EQ(said.err.find("SSH_CONFIG"), std::string::npos) << said.err;
}

TEST_F(OpenSshAdvice, AFileThatOpenSshRefusesOrNeverEndsToReadChangesNoMessage) {
  for (const char* text : {"Nonsense here\n", "Match exec \"sleep 60\"\n  Port 1\n"}) {
    write_ssh_config(text);
    const ProcessResult said = litepull("backup");
    EXPECT_EQ(said.status.code, 3) << said.err;
    EXPECT_NE(said.err.find("put the key's .pub line"), std::string::npos) << said.err;
    EXPECT_LT(said.duration, Milliseconds(15'000));
  }
}

}  // namespace
}  // namespace litepull::test
