// Servers of another architecture than this machine's. Their agent runs here in QEMU's user mode. Without a
// cross compiler it was not built, and the tests that need it are skipped.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/bank_oracle.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr const char* kAgent = "litepull-agent-aarch64";
constexpr const char* kEmulator = "qemu-aarch64";
constexpr const char* kBank = "bank.sqlite3";
constexpr const char* kRows = "rows.sqlite3";

std::string why_not_possible() {
  if (!fs::exists(fs::path(built_program("litepull")).parent_path() / kAgent))
    return std::string(kAgent) + " was not built: deploy/install-packages.sh cross";
  return run({"sh", "-c", std::string("command -v ") + kEmulator}).ok() ? "" : "there is no qemu-aarch64";
}

// A login on a machine that calls itself `machine` and runs what is uploaded in `emulator`, when there is
// one.
std::string login_script(const std::string& directory, const std::string& machine,
                         const std::string& emulator) {
  fs::create_directory(directory);
  write_file(directory + "/uname",
             "#!/bin/sh\n[ \"$*\" = -sm ] && echo Linux " + machine + " || exec /usr/bin/uname \"$@\"\n",
             0755);
  write_file(directory + "/login",
             "#!/bin/sh\nPATH=" + directory + ":$PATH\n" +
                 "eval \"$(printf %s \"$SSH_ORIGINAL_COMMAND\" | sed 's|exec \"$a\"|exec " + emulator +
                 " \"$a\"|g')\"\n",
             0755);
  return directory + "/login";
}

// An app on such a server.
struct OtherMachine {
  explicit OtherMachine(const std::string& machine, const std::string& emulator = "")
      : app(Over::kSsh, {.extra_lines = {"ForceCommand " + login_script(dir / "bin", machine, emulator)}}) {}

  // The names of the agents that were uploaded.
  std::vector<std::string> uploaded() const {
    std::vector<std::string> paths;
    const std::string cache = const_cast<PullFixture&>(app).sshd().remote_cache() + "/litepull";
    if (fs::exists(cache))
      for (const auto& entry : fs::directory_iterator(cache)) paths.push_back(entry.path());
    return paths;
  }

  TempDir dir;
  PullFixture app;
};

ProcessResult restore(const PullFixture& app, const std::string& snapshot) {
  return run({built_program("litepull"), "restore", app.config_path(), fs::path(snapshot).filename(),
              "--to-server", "--yes", "app", "--no-safety-snapshot"});
}

// A pull under writes, a second one that takes what it can from the first, and the first one back.
void pull_twice_and_restore(PullFixture& app) {
  make_rows(app.in_storage(kRows), 1'000, 1'000);
  Child writer = app.start_bank(kBank, "wal", {"--rate=200"});
  std::uint64_t acknowledged = read_ack(app.ack_path(kBank));
  const BackupRun first = app.backup();
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  const BankReport bank = check_bank(first.file(kBank), acknowledged);
  EXPECT_EQ(bank.failure, "");

  change_range(app.in_storage(kRows), 500, 510);
  acknowledged = read_ack(app.ack_path(kBank));
  const BackupRun second = app.backup();
  ASSERT_EQ(second.exit_code(), 0) << second.words();
  ASSERT_TRUE(writer.running());
  EXPECT_EQ(writer.stop().code, 0);
  EXPECT_EQ(check_bank(second.file(kBank), acknowledged).failure, "");
  EXPECT_EQ(why_not_equal(second.file(kRows), app.in_storage(kRows)), "");
  EXPECT_LT(second.database(kRows)["changed_pages"], 40) << second.words();
  EXPECT_GT(second.database(kRows)["pages"], 200);

  const ProcessResult restored = restore(app, first.snapshot());
  ASSERT_EQ(restored.status.code, 0) << restored.out << restored.err;
  const BankReport after = check_bank(app.in_storage(kBank), 0);
  EXPECT_EQ(after.failure, "");
  EXPECT_EQ(after.counter, bank.counter);
}

TEST(AgentForAnotherMachine, PullsAndRestoresThere) {
  if (const std::string why = why_not_possible(); !why.empty()) GTEST_SKIP() << why;
  OtherMachine server("aarch64", kEmulator);
  pull_twice_and_restore(server.app);
  const std::vector<std::string> uploaded = server.uploaded();
  ASSERT_EQ(uploaded.size(), 1u) << "the wrong agent was uploaded, or one twice";
  EXPECT_EQ(file_bytes(uploaded[0]), file_bytes(built_program(kAgent)));
}

TEST(AgentForAnotherMachine, RunsHereWhenItIsNamed) {
  if (const std::string why = why_not_possible(); !why.empty()) GTEST_SKIP() << why;
  PullFixture app(Over::kLocal);
  const std::string wrapper = app.scratch("emulated-agent");
  write_file(wrapper, std::string("#!/bin/sh\nexec ") + kEmulator + " '" + built_program(kAgent) + "'\n",
             0700);
  app.set_environment("LITEPULL_AGENT", wrapper);
  app.make_bank(kBank, "delete");
  const BackupRun run = app.backup();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(check_bank(run.file(kBank), read_ack(app.ack_path(kBank))).failure, "");
}

TEST(AgentForAnotherMachine, ThatIsNotAtHandIsNamedWithTheRemedy) {
  OtherMachine server("aarch64");
  server.app.set_environment("LITEPULL_AGENT", built_program("litepull-agent"));
  server.app.make_bank(kBank, "wal");
  const BackupRun run = server.app.backup();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.process.err.find("Linux aarch64 machine"), std::string::npos) << run.words();
  EXPECT_NE(run.process.err.find("LITEPULL_AGENT"), std::string::npos) << run.words();
  EXPECT_TRUE(server.uploaded().empty());
}

TEST(AgentForAnotherMachine, ThatNobodyCanBuildIsNamed) {
  OtherMachine server("riscv64");
  server.app.make_bank(kBank, "wal");
  const BackupRun run = server.app.backup();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.process.err.find("x86_64 or aarch64"), std::string::npos) << run.words();
  EXPECT_TRUE(server.uploaded().empty());
}

std::size_t commands_run(PullFixture& app) {
  const std::string log = app.sshd().log();
  std::size_t count = 0;
  for (std::size_t at = 0; (at = log.find("Starting session: command", at)) != std::string::npos; ++at)
    ++count;
  return count;
}

TEST(AgentFromADirectory, CostsOneRemoteCommandOnceItIsThere) {
  PullFixture app(Over::kSsh);
  app.make_bank(kBank, "wal");
  app.set_environment("LITEPULL_AGENT", fs::path(built_program("litepull-agent")).parent_path());
  ASSERT_EQ(app.backup().exit_code(), 0);
  const std::size_t before = commands_run(app);
  EXPECT_EQ(before, 3u) << "asked, uploaded, started";
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(commands_run(app) - before, 1u);
}

// A home that is shared with a machine of another kind, or an upload that a disk has spoilt.
TEST(AgentThatCannotRun, IsReplacedByTheOneForTheMachine) {
  PullFixture app(Over::kSsh);
  app.make_bank(kBank, "wal");
  ASSERT_EQ(app.backup().exit_code(), 0);
  const fs::path cache = app.sshd().remote_cache() + "/litepull";
  const fs::path agent = *fs::directory_iterator(cache);
  write_file(agent, "#!/nowhere/at/all\n", 0700);
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(file_bytes(agent), file_bytes(built_program("litepull-agent")));
}

}  // namespace
}  // namespace litepull::test
