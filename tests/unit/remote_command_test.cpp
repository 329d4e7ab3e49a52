// The remote commands under this machine's shells, in a home directory of their own.
#include "client/remote_command.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

const std::string kBuild = "0123456789abcdef0123456789abcdef";
const std::string kAgent = "#!/bin/sh\necho the agent\n";
const std::string kOtherBuild = "fedcba9876543210fedcba9876543210";

std::string this_machine() {
  utsname system{};
  ::uname(&system);
  return system.machine;
}

const std::vector<AgentFile> kAgents{{"", "", kBuild, this_machine()}};

class RemoteCommandTest : public ::testing::TestWithParam<std::string> {
 protected:
  // As sshd does it: the login shell with -c.
  test::ProcessResult run(const std::string& command, const std::string& input = "") {
    test::RunOptions options;
    options.clean_env = true;
    options.env = {{"HOME", home_.path().string()}, {"PATH", "/usr/bin:/bin"}};
    options.stdin_text = input;
    return test::run({GetParam(), "-c", command}, options);
  }

  std::string agent_path() const { return home_ / (".cache/litepull/agent-" + kBuild); }

  std::size_t files_in_cache() const {
    const auto entries = std::filesystem::directory_iterator(home_ / ".cache/litepull");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  }

  test::TempDir home_;
};

TEST_P(RemoteCommandTest, AServerWithoutTheAgentAsksForIt) {
  const auto result = run(start_command(kAgents));
  EXPECT_TRUE(result.out.starts_with("LITEPULL 1 upload Linux ")) << result.out << result.err;
}

TEST_P(RemoteCommandTest, AnUploadedAgentIsPrivateAndRunsAtOnceTheNextTime) {
  const auto upload = run(upload_command(kBuild, kAgent.size()), kAgent);
  EXPECT_EQ(upload.out, "stored\n") << upload.err;
  struct stat status {};
  ASSERT_EQ(::stat(agent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ASSERT_EQ(::stat((home_ / ".cache/litepull").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_EQ(files_in_cache(), 1U);
  EXPECT_EQ(run(start_command(kAgents)).out, "the agent\n");
}

TEST_P(RemoteCommandTest, AnUploadThatIsCutShortOrTooLongLeavesNothing) {
  for (const std::size_t size : {kAgent.size() + 1, kAgent.size() - 1}) {
    const auto upload = run(upload_command(kBuild, size), kAgent);
    EXPECT_EQ(upload.status.code, 1);
    EXPECT_NE(upload.err.find("cut short"), std::string::npos) << upload.err;
    EXPECT_EQ(files_in_cache(), 0U);
  }
}

TEST_P(RemoteCommandTest, ACacheThatIsALinkIsNotUsed) {
  const test::TempDir elsewhere;
  ASSERT_EQ(::mkdir((home_ / ".cache").c_str(), 0700), 0);
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (home_ / ".cache/litepull").c_str()), 0);
  test::write_file(elsewhere / ("agent-" + kBuild), kAgent, 0700);
  EXPECT_TRUE(run(start_command(kAgents)).out.starts_with("LITEPULL 1 upload "))
      << "an agent behind a link was run";
}

TEST_P(RemoteCommandTest, AServerRunsTheAgentForItsMachineAlsoWhereAnotherIsThere) {
  const std::string other = "#!/bin/sh\necho the wrong agent\n";
  const std::vector<AgentFile> both{{"", "", kOtherBuild, "riscv64"}, kAgents[0]};
  ASSERT_EQ(run(upload_command(kOtherBuild, other.size()), other).out, "stored\n");
  EXPECT_EQ(run(start_command(both)).out, "LITEPULL 1 upload Linux " + this_machine() + "\n");
  ASSERT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "stored\n");
  EXPECT_EQ(run(start_command(both)).out, "the agent\n");
}

// Those of them that this machine has; /bin/sh is everywhere.
std::vector<std::string> shells() {
  std::vector<std::string> found;
  for (const char* shell :
       {"/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/bin/tcsh"})
    if (::access(shell, X_OK) == 0) found.emplace_back(shell);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Shells, RemoteCommandTest, ::testing::ValuesIn(shells()), [](const auto& shell) {
  return std::filesystem::path(shell.param).filename().string();
});

}  // namespace
}  // namespace litepull
