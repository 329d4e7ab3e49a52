// deploy/kamal/pre-deploy as Kamal runs it: in the app's directory, with KAMAL_* in its environment.
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class PreDeploy : public testing::Test {
 protected:
  PreDeploy() {
    app_.make_bank("main.sqlite3", "wal");
    fs::create_directories(project_ + "/config/projects");
    fs::create_symlink(app_.config_path(), project_ + "/config/projects/billing.env");
    environment_ = {{"LITEPULL", built_program("litepull")},
                    {"KAMAL_SERVICE", "billing"},
                    {"KAMAL_VERSION", "150b24f1c2d3e4f5a6b7c8d9"},
                    {"KAMAL_PERFORMER", "Ann O'Neil; $(touch canary) <ann@example.com>"}};
  }

  // In a session of its own, so that the hook does not write to the terminal of whoever runs the tests.
  ProcessResult deploy() {
    const std::string hook =
        fs::absolute(__FILE__).parent_path().parent_path().parent_path() / "deploy/kamal/pre-deploy";
    RunOptions options;
    options.env = environment_;
    return run({"setsid", "-w", "/bin/sh", "-c", "cd '" + project_ + "' && exec '" + hook + "'"}, options);
  }

  std::string label() const {
    return nlohmann::json::parse(read_file(app_.snapshots().back() + "/manifest.json"))["label"];
  }

  PullFixture app_{Over::kLocal};
  const std::string project_ = app_.scratch("project");
  Environment environment_;
};

TEST_F(PreDeploy, TakesASnapshotAndSaysHowToGoBack) {
  const ProcessResult said = deploy();
  ASSERT_EQ(said.status.code, 0) << said.out << said.err;
  ASSERT_EQ(app_.snapshots().size(), 1U);
  EXPECT_EQ(label(), "pre-deploy 150b24f1c2d3e4f5 by AnnONeiltouchcanar");
  EXPECT_FALSE(fs::exists(project_ + "/canary"));
  const std::string name = fs::path(app_.snapshots().back()).filename();
  EXPECT_NE(said.out.find("litepull restore config/projects/billing.env " + name + " --to-server"),
            std::string::npos)
      << said.out;
}

TEST_F(PreDeploy, AFailureKeepsKamalFromDeploying) {
  ASSERT_EQ(app_.backup().exit_code(), 0);  // so this is not the first deploy
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  const ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 1);
  EXPECT_NE(said.err.find("no snapshot was taken"), std::string::npos) << said.err;
  environment_["LITEPULL_ON_FAILURE"] = "continue";
  EXPECT_EQ(deploy().status.code, 0);
}

TEST_F(PreDeploy, AFirstDeployWithoutAStorageDirectoryPassesWithANote) {
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 0) << said.err;
  EXPECT_NE(said.out.find("no storage directory yet"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("nothing was backed up"), std::string::npos) << said.out;
  fs::create_directory(app_.scratch("nowhere"));
  EXPECT_EQ(deploy().status.code, 1) << "a directory without databases is no first deploy";
}

TEST_F(PreDeploy, TheVersionThatRunsIsNamedForTheWayBack) {
  fs::create_directory(app_.scratch("bin"));
  const auto deploy_with = [&](const std::string& kamal) {
    write_file(app_.scratch("bin/kamal"), "#!/bin/sh\n" + kamal + "\n", 0700);
    environment_["PATH"] = app_.scratch("bin") + ":/usr/bin:/bin";
    const ProcessResult said = deploy();
    EXPECT_EQ(said.status.code, 0) << said.err;
    return said.out;
  };
  const std::string named =
      deploy_with("[ \"$1 $2\" = 'app version' ] && printf 'App Host: h\\n0f1e2d3c\\n\\n'");
  EXPECT_NE(named.find("kamal rollback 0f1e2d3c\n"), std::string::npos) << named;
  const std::string unknown = deploy_with("echo 'it is broken; rm -rf x'; exit 1");
  EXPECT_NE(unknown.find("kamal rollback VERSION\n"), std::string::npos) << unknown;
}

TEST_F(PreDeploy, ADamagedDatabaseKeepsKamalFromDeploying) {
  write_file(app_.in_storage("noise.sqlite3"), std::string(8192, 'x'));
  const ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 1);
  EXPECT_NE(said.err.find("not all of it is good"), std::string::npos) << said.err;
}

TEST_F(PreDeploy, ADestinationHasAConfigurationOfItsOwn) {
  environment_["KAMAL_DESTINATION"] = "staging";
  ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 1);
  EXPECT_NE(said.err.find("LITEPULL_CONFIG"), std::string::npos) << said.err;
  fs::create_symlink(app_.config_path(), project_ + "/config/projects/billing-staging.env");
  said = deploy();
  ASSERT_EQ(said.status.code, 0) << said.err;
  EXPECT_EQ(label(), "pre-deploy 150b24f1c2d3e4f5 staging by AnnONeiltouchcanar");
}

TEST_F(PreDeploy, TheOnlyConfigurationWillDo) {
  environment_["KAMAL_SERVICE"] = "another";
  EXPECT_EQ(deploy().status.code, 0);
  write_file(project_ + "/config/projects/third.env", "");
  EXPECT_EQ(deploy().status.code, 1);
}

TEST_F(PreDeploy, WithoutTheProgramItWarnsOrStopsAsItsFirstLinesSay) {
  environment_["LITEPULL"] = app_.scratch("nowhere");
  ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 0) << said.err;
  EXPECT_NE(said.out.find("deploying without a snapshot"), std::string::npos) << said.out;
  environment_["LITEPULL_WITHOUT"] = "abort";
  said = deploy();
  EXPECT_EQ(said.status.code, 1);
  EXPECT_NE(said.err.find("install litepull"), std::string::npos) << said.err;
}

TEST_F(PreDeploy, AnotherRunIsWaitedForUntilTheDeadline) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const int lock = ::open((app_.app_directory() + "/.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  environment_["LITEPULL_DEADLINE"] = "1";
  const ProcessResult said = deploy();
  EXPECT_EQ(said.status.code, 1);
  EXPECT_NE(said.err.find("was at work for 1 s"), std::string::npos) << said.err;
  ::close(lock);
}

TEST_F(PreDeploy, SnapshotsAreKeptByTheirOwnCount) {
  app_.set("KEEP_PRE_DEPLOY", "2");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(deploy().status.code, 0);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  EXPECT_EQ(app_.snapshots().size(), 3U);
}

}  // namespace
}  // namespace litepull::test
