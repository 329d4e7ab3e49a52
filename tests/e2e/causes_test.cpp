// When a run fails, the message has the true cause and what to type next.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

// An agent in a container that has no /proc at all.
TEST(ServerWithoutProc, IsPulledFromAndACheckSaysWhatCannotBeSeen) {
  if (::geteuid() != 0 || !run({"unshare", "-m", "true"}).ok()) GTEST_SKIP() << "mounts are not allowed here";
  PullFixture app(Over::kLocal);
  app.make_bank("main.sqlite3", "wal");
  const std::string agent = app.scratch("agent.sh");
  write_file(agent, "#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh " +
                        built_program("litepull-agent") + " \"$@\"\n");
  fs::permissions(agent, fs::perms(0755));
  app.set_environment("LITEPULL_AGENT", agent);
  const BackupRun backup = app.backup();
  EXPECT_EQ(backup.exit_code(), 0) << backup.words();
  const ProcessResult check = app.litepull({"check"});
  EXPECT_NE(check.out.find("there is no /proc on the server"), std::string::npos) << check.out << check.err;
  EXPECT_EQ(check.out.find("set SERVER_USER to root"), std::string::npos) << check.out;
}

TEST(MachineWithoutProc, IsToldToMountIt) {
  if (::geteuid() != 0 || !run({"unshare", "-m", "true"}).ok()) GTEST_SKIP() << "mounts are not allowed here";
  PullFixture app(Over::kLocal);
  app.make_bank("main.sqlite3", "wal");
  const ProcessResult backup = run({"unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"",
                                    "sh", built_program("litepull"), "backup", app.config_path()});
  EXPECT_EQ(backup.status.code, 1);
  EXPECT_NE(backup.err.find("mount -t proc proc /proc"), std::string::npos) << backup.err;
}

TEST(SshKey, ThatIsNoneThatCanBeUsedIsToldInCheckAndBackup) {
  PullFixture app(Over::kSsh);
  app.make_bank("main.sqlite3", "delete");
  app.set_environment("SSH_AUTH_SOCK", "");
  write_file(app.scratch("deploy.ppk"), "PuTTY-User-Key-File-3: ssh-ed25519\r\n");
  app.set("SSH_KEY", app.scratch("deploy.ppk"));
  const BackupRun backup = app.backup();
  EXPECT_EQ(backup.exit_code(), 3) << backup.words();
  EXPECT_NE(backup.process.err.find("puttygen"), std::string::npos) << backup.words();
  const ProcessResult check = app.litepull({"check"});
  EXPECT_NE(check.out.find("puttygen"), std::string::npos) << check.out << check.err;
}

}  // namespace
}  // namespace litepull::test
