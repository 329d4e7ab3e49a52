// What a login shell's start-up files do before the command runs. Their output is skipped. A file that
// keeps the command from running is named as the cause.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/ssh_login_fixture.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

// What the login shell, bash here, reads before the command.
class StartUpFile : public SshLogin {
 protected:
  void SetUp() override {
    app_.set("CONNECT_TIMEOUT", "15");
    if (!is_read_by_the_shell())
      GTEST_SKIP() << "the login shell of " << app_.sshd().user() << " reads no ~/.bashrc";
  }
  void write_start_up_file(const std::string& text) {
    write_file((fs::path(app_.sshd().key_path()).parent_path() / "home/.bashrc").string(), text);
  }
  bool is_read_by_the_shell() {
    write_start_up_file("exit 7\n");
    return run({"ssh", "-F", "none", "-o", "BatchMode=yes", "-i", app_.sshd().key_path(), "-p",
                std::to_string(app_.sshd().port()), "-o",
                "UserKnownHostsFile=" + app_.sshd().known_hosts_path(), app_.sshd().user() + "@127.0.0.1",
                "true"})
               .status.code == 7;
  }
  // Another agent than any server has.
  void forget_agent() {
    fs::remove_all(app_.sshd().remote_cache());
    fs::create_directory(app_.sshd().remote_cache());
  }
};

TEST_F(StartUpFile, MayPrintAnythingWithoutANewlineBeforeTheGreeting) {
  for (const char* line :
       {"printf 'hello '", "printf '\\033]4;0;rgb:00/00/00\\033\\\\\\033]0;prod\\007'",
        "printf 'LITEPULL 1 LITEPULL 1 welcome\\nLITEPULL 1 '", "echo /tmp: all yours; echo takes it"}) {
    write_start_up_file(std::string(line) + "\n");
    forget_agent();
    expect_pulled();
  }
  const ProcessResult check = app_.litepull({"check"});
  EXPECT_EQ(check.status.code, 0) << check.out << check.err;
  EXPECT_EQ(check.out.find("all yours"), std::string::npos) << check.out;
}

TEST_F(StartUpFile, BuriedInNoiseIsUploadedAndStarted) {
  write_start_up_file(
      "yes 'a very friendly message of the day' | head -c 3000000 | tee /dev/stderr\nprintf end\n");
  forget_agent();
  expect_pulled();
}

TEST_F(StartUpFile, ThatWaitsForInputIsToldFromASlowLink) {
  app_.set("IDLE_TIMEOUT", "1");
  write_start_up_file("printf 'Accept the terms? '\nread x\n");
  const BackupRun run = expect_failure(1, {"the login shell never came to run the command", "wait for input",
                                           "it said: Accept the terms? ", "echo hello"});
  EXPECT_EQ(run.process.err.find("IDLE_TIMEOUT"), std::string::npos) << run.words();
}

TEST_F(StartUpFile, ThatStartsAnotherShellIsTold) {
  app_.set("IDLE_TIMEOUT", "1");
  write_start_up_file("exec sh\n");
  expect_failure(1, {"the login shell never came to run the command", "start another shell"});
}

TEST_F(StartUpFile, ThatEndsTheShellIsToldWithTheEndOfWhatItSaid) {
  write_start_up_file("yes noise | head -c 20000\necho this account is closed >&2\nexit 3\n");
  expect_failure(1, {"the agent does not start (status 3)", "this account is closed", "start-up files"});
}

class SilentLink : public StartUpFile {};

// Nothing comes over the link any more: that is not the shell's fault.
TEST_F(SilentLink, IsNotPutDownToTheLoginShell) {
  app_.set("IDLE_TIMEOUT", "1");
  app_.set("CONNECT_TIMEOUT", "1");
  write_start_up_file("kill -STOP $PPID\nsleep 20\nkill -CONT $PPID\n");
  expect_failure(1, {"nothing was heard for 1 s"}, Milliseconds(9'000));
}

}  // namespace
}  // namespace litepull::test
