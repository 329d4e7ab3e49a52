// Runs the remote commands in this machine's shells, with a home directory of their own.
#include "client/link/remote_command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
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
    options.env = {{"HOME", home_.path().string()}, {"PATH", path_}};
    if (!xdg_.empty()) options.env["XDG_CACHE_HOME"] = xdg_;
    options.stdin_text = input;
    return test::run({GetParam(), "-c", command}, options);
  }

  std::string agent_path() const { return home_ / (".cache/litepull/agent-" + kBuild); }

  std::size_t files_in_cache() const {
    const auto entries = std::filesystem::directory_iterator(home_ / ".cache/litepull");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  }

  // A sudo of our own in front of the real one.
  void use_sudo(const std::string& script) {
    const std::string directory = home_ / "fake-bin";
    std::filesystem::create_directory(directory);
    test::write_file(directory + "/sudo", "#!/bin/sh\n" + script, 0700);
    path_ = directory + ":/usr/bin:/bin";
  }

  std::string xdg_;
  std::string path_ = "/usr/bin:/bin";
  test::TempDir home_;
};

TEST_P(RemoteCommandTest, AServerWithoutTheAgentAsksForIt) {
  const auto result = run(start_command(kAgents));
  EXPECT_TRUE(result.out.starts_with("LITEPULL 1 upload Linux ")) << result.out << result.err;
}

TEST_P(RemoteCommandTest, AnUploadedAgentIsPrivateAndRunsAtOnceTheNextTime) {
  const auto upload = run(upload_command(kBuild, kAgent.size()), kAgent);
  EXPECT_EQ(upload.out, "litepull ready\nstored\n") << upload.err;
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
  ASSERT_EQ(run(upload_command(kOtherBuild, other.size()), other).out, "litepull ready\nstored\n");
  EXPECT_EQ(run(start_command(both)).out, "LITEPULL 1 upload Linux " + this_machine() + "\n");
  ASSERT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "litepull ready\nstored\n");
  EXPECT_EQ(run(start_command(both)).out, "the agent\n");
}

TEST_P(RemoteCommandTest, SudoIsGivenTheAgentsPathAndTheDirectoryAndTheAgentTheRest) {
  use_sudo("printf 'sudo: %s %s %s [%s]\\n' $# \"$1\" \"$3\" \"$4\"; shift; exec \"$1\"\n");
  EXPECT_TRUE(
      run(sudo_start_command(kAgents)).out.starts_with("LITEPULL 1 storage\nLITEPULL 1 upload Linux "));
  const std::string agent = "#!/bin/sh\necho the agent; cat\n";
  ASSERT_EQ(run(upload_command(kBuild, agent.size()), agent).out, "litepull ready\nstored\n");
  for (const std::string storage : {"/srv/storage", " /a b \\t$(id)`id`\"'*?! ", ""}) {
    const std::string out = run(sudo_start_command(kAgents), storage + "\nrequest").out;
    EXPECT_TRUE(out.starts_with("LITEPULL 1 storage\nlitepull sudo ")) << out;
    EXPECT_TRUE(
        out.ends_with(" " + agent_path() + "\nsudo: 4 -n --storage [" + storage + "]\nthe agent\nrequest"))
        << out;
  }
}

TEST_P(RemoteCommandTest, ARefusalOfSudoIsPassedOn) {
  ASSERT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "litepull ready\nstored\n");
  use_sudo("echo \"sudo: a password is required\" >&2; exit 1\n");
  const auto result = run(sudo_start_command(kAgents));
  EXPECT_EQ(result.status.code, 1);
  EXPECT_NE(result.err.find("sudo: a password is required"), std::string::npos);
  EXPECT_EQ(result.out.find("LITEPULL 1 upload"), std::string::npos) << result.out;
}

TEST_P(RemoteCommandTest, AServerWithoutSudoSaysSo) {
  const std::string empty = home_ / "no-bin";
  std::filesystem::create_directory(empty);
  std::filesystem::create_symlink("/bin/sh", empty + "/sh");
  path_ = empty;
  EXPECT_EQ(run(sudo_start_command(kAgents)).out, "LITEPULL 1 storage\nLITEPULL 1 no-sudo\n");
}

TEST_P(RemoteCommandTest, AnUnusableCacheIsPassedOverWithItsReason) {
  const test::TempDir elsewhere;
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (home_ / "link").c_str()), 0);
  ASSERT_EQ(::mkdir((home_ / "xdg").c_str(), 0700), 0);
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (home_ / "xdg/litepull").c_str()), 0);
  xdg_ = home_ / "xdg";
  const RemoteDirectories found = parse_directories(run(directory_command(kAgent.size())).out);
  EXPECT_EQ(found.chosen, (home_ / ".cache/litepull"));
  EXPECT_EQ(found.passed_over, std::vector<std::string>{xdg_ + "/litepull: it is a link"});
  ASSERT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "litepull ready\nstored\n");
  EXPECT_EQ(run(start_command(kAgents)).out, "the agent\n");
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere.path()));
}

class UnusableCache : public RemoteCommandTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a file system";
    ASSERT_EQ(::mkdir((home_ / "xdg").c_str(), 0700), 0);
    xdg_ = home_ / "xdg";
  }
  void TearDown() override {
    if (mounted_) ::umount2(xdg_.c_str(), MNT_DETACH);
  }
  bool mount(unsigned long flags, const char* options) {
    mounted_ = ::mount("tmpfs", xdg_.c_str(), "tmpfs", flags, options) == 0;
    return mounted_;
  }
  void expect_passed_over(const std::string& why) {
    const RemoteDirectories found = parse_directories(run(directory_command(kAgent.size())).out);
    EXPECT_EQ(found.chosen, (home_ / ".cache/litepull"));
    EXPECT_EQ(found.passed_over, std::vector<std::string>{xdg_ + "/litepull: " + why});
    ASSERT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "litepull ready\nstored\n");
    EXPECT_EQ(run(start_command(kAgents)).out, "the agent\n");
  }

  bool mounted_ = false;
};

TEST_P(UnusableCache, WithoutProgramsIsPassedOver) {
  if (!mount(MS_NOEXEC, "size=8m,mode=0700")) GTEST_SKIP() << "this root may not mount";
  expect_passed_over("programs cannot run there");
}

TEST_P(UnusableCache, WithoutRoomIsPassedOver) {
  if (!mount(0, "size=32k,mode=0700")) GTEST_SKIP() << "this root may not mount";
  expect_passed_over("it has no room");
}

TEST_P(UnusableCache, ThatIsReadOnlyIsPassedOver) {
  if (!mount(MS_RDONLY, "size=8m,mode=0700")) GTEST_SKIP() << "this root may not mount";
  expect_passed_over("it cannot be made");
}

TEST_P(UnusableCache, OfSomebodyElseIsPassedOver) {
  ASSERT_EQ(::mkdir((xdg_ + "/litepull").c_str(), 0777), 0);
  ASSERT_EQ(::chown((xdg_ + "/litepull").c_str(), 1000, 1000), 0);
  expect_passed_over("it belongs to somebody else");
}

// Another user of the server works in a directory where everybody may make files, as in /tmp. That user
// exchanges one of the places for the agent all the time: a directory of theirs for a link to one of ours.
class AttackedCache : public RemoteCommandTest {
 protected:
  static constexpr uid_t kAttacker = 1000;

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be attacked by another user";
    ASSERT_EQ(::chmod(home_.path().c_str(), 0711), 0);
    xdg_ = home_ / "tmp";
    std::filesystem::create_directory(xdg_);
    ASSERT_EQ(::chmod(xdg_.c_str(), 01777), 0);
    test::write_file(xdg_ + "/litepull/agent-" + kBuild, "#!/bin/sh\necho evil\n", 0755);
    ASSERT_EQ(::chmod((xdg_ + "/litepull").c_str(), 0755), 0);
  }
  void TearDown() override {
    if (attacker_ <= 0) return;
    ::kill(attacker_, SIGKILL);
    ::waitpid(attacker_, nullptr, 0);
  }

  void start_attack(const std::string& target) {
    const std::string place = xdg_ + "/litepull", link = xdg_ + "/link";
    std::filesystem::create_directory_symlink(target, link);
    for (const std::string& path : {place, place + "/agent-" + kBuild, link})
      ASSERT_EQ(::lchown(path.c_str(), kAttacker, kAttacker), 0);
    attacker_ = ::fork();
    ASSERT_GE(attacker_, 0);
    if (attacker_ == 0) exchange_for_ever(place.c_str(), link.c_str());
  }

  [[noreturn]] static void exchange_for_ever(const char* place, const char* link) {
    constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE, renameat2(2)
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::setgid(kAttacker) != 0 || ::setuid(kAttacker) != 0) _exit(1);
    for (;;)
      if (::syscall(SYS_renameat2, AT_FDCWD, place, AT_FDCWD, link, kExchange) != 0) _exit(1);
  }

  void expect_attack_went_on() const { EXPECT_EQ(::waitpid(attacker_, nullptr, WNOHANG), 0); }

  static int races() {
    const char* value = std::getenv("LITEPULL_LONG");
    return value != nullptr && std::string(value) == "1" ? 1'000 : 30;
  }

  pid_t attacker_ = -1;
};

TEST_P(AttackedCache, IsNeverRunFrom) {
  ASSERT_TRUE(std::filesystem::create_directories(home_ / ".cache/litepull"));
  test::write_file(agent_path(), kAgent, 0700);
  start_attack(home_ / ".cache/litepull");
  for (int i = 0; i < races() && !HasFailure(); ++i)
    EXPECT_EQ(run(start_command(kAgents)).out, "the agent\n");
  expect_attack_went_on();
}

TEST_P(AttackedCache, IsNeverUploadedTo) {
  const std::string ours = home_ / "www";  // root's, and readable by all
  std::filesystem::create_directory(ours);
  ASSERT_EQ(::chmod(ours.c_str(), 0755), 0);
  const std::string before = test::listing(ours);
  start_attack(ours);
  for (int i = 0; i < races() && !HasFailure(); ++i) {
    EXPECT_EQ(run(upload_command(kBuild, kAgent.size()), kAgent).out, "litepull ready\nstored\n");
    EXPECT_TRUE(std::filesystem::remove(agent_path())) << "it was stored elsewhere";
    EXPECT_EQ(test::listing(ours), before);
  }
  expect_attack_went_on();
}

// As on Alpine: BusyBox's shell, and its own test, df, mkdir, mv, wc, find.
TEST(RemoteCommandOfBusyBox, StoresAndStartsTheAgent) {
  if (::access("/usr/bin/busybox", X_OK) != 0) GTEST_SKIP() << "there is no busybox";
  const test::TempDir home;
  std::filesystem::create_directory(home / "bin");
  ASSERT_TRUE(test::run({"/usr/bin/busybox", "--install", "-s", home / "bin"}).ok());
  test::RunOptions options;
  options.clean_env = true;
  options.env = {{"HOME", home.path().string()}, {"PATH", home / "bin"}};
  options.stdin_text = kAgent;
  const std::string shell = home / "bin/sh";
  const auto upload = test::run({shell, "-c", upload_command(kBuild, kAgent.size())}, options);
  EXPECT_EQ(upload.out, "litepull ready\nstored\n") << upload.err;
  EXPECT_EQ(test::run({shell, "-c", start_command(kAgents)}, options).out, "the agent\n");
  const auto where = test::run({shell, "-c", directory_command(kAgent.size())}, options);
  EXPECT_EQ(parse_directories(where.out).chosen, (home / ".cache/litepull")) << where.out << where.err;
}

// The shells that this machine has. Every machine has /bin/sh.
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

INSTANTIATE_TEST_SUITE_P(Shells, UnusableCache, ::testing::Values("/bin/sh"));
INSTANTIATE_TEST_SUITE_P(Shells, AttackedCache, ::testing::Values("/bin/sh"));

}  // namespace
}  // namespace litepull
