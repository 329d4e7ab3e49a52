// Users of the old pair of shell scripts keep everything: the configuration, their copies, and the two
// lines of the crontab.
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/sshd_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

// `date +%Y-%m-%dT%H%M%S%z`, as the script named its directories.
std::string name_days_ago(int days) {
  const std::time_t at = std::time(nullptr) - std::time_t{days} * 86'400;
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  char name[64];
  std::strftime(name, sizeof name, "%Y-%m-%dT%H%M%S+0000", &parts);
  return name;
}

class OldScript : public testing::Test {
 protected:
  OldScript() : app_(Over::kSsh) {
    app_.make_bank("production.sqlite3", "wal", {"--rate", "20"});
    write_file(config(),
               "#!/bin/bash\nexport APP_NAME=\"billing\"\nWORKSPACE_DIR=\"$HOME/projects/billing\"\n"
               "LOCAL_BACKUP_ROOT=\"${WORKSPACE_DIR}/storage/backups\"   # kept out of git\n"
               "SERVER_USER=" +
                   app_.sshd().user() +
                   "\nSERVER_HOST='127.0.0.1'\nSERVER_PORT=" + std::to_string(app_.sshd().port()) +
                   "\nREMOTE_BACKUP_DIR=" + app_.storage() + "\nSSH_KEY=" + app_.sshd().key_path() +
                   "\nSSH_KNOWN_HOSTS=" + app_.sshd().known_hosts_path() + "\nRETENTION_DAYS=14\n");
    fs::permissions(config(), fs::perms(0600));
  }

  std::string home() const { return app_.scratch("home"); }
  std::string config() const { return home() + "/projects/billing/config/projects/billing.env"; }
  std::string directory() const { return home() + "/projects/billing/storage/backups/billing"; }

  // A copy of the running app's files, as rsync made them, without a manifest.
  std::string make_copy(int days_ago) const {
    const std::string name = name_days_ago(days_ago);
    fs::create_directories(directory() + "/" + name);
    for (const auto& file : fs::directory_iterator(app_.storage()))
      fs::copy(file.path(), directory() + "/" + name);
    return name;
  }

  // A line of the crontab, in the bare environment that cron gives it.
  ProcessResult cron(const std::string& command) const {
    return run({"env", "-i", "HOME=" + home(), "PATH=/usr/bin:/bin", "/bin/sh", "-c",
                built_program("litepull") + " " + command + " " + config()});
  }

  PullFixture app_;
};

TEST_F(OldScript, ConfigurationCopiesAndCrontabGoOn) {
  const std::string expired = make_copy(30), kept = make_copy(3);
  const ProcessResult backup = cron("backup");
  ASSERT_EQ(backup.status.code, 0) << backup.out << backup.err;
  ASSERT_EQ(cron("cleanup").status.code, 0);
  const std::string list = cron("list").out;
  EXPECT_TRUE(fs::exists(directory() + "/" + kept)) << "within RETENTION_DAYS";
  EXPECT_FALSE(fs::exists(directory() + "/" + expired)) << "past RETENTION_DAYS, as the old cleanup had it";
  EXPECT_NE(list.find(kept), std::string::npos) << list;
  EXPECT_FALSE(fs::exists(home() + "/projects/billing-workspace")) << "nothing is moved";

  const ProcessResult verify =
      run({built_program("litepull"), "verify", config(), kept}, {.env = {{"HOME", home()}}});
  EXPECT_EQ(verify.status.code, 0) << verify.out << verify.err;
  const std::string target = app_.scratch("restored");
  const ProcessResult restore = run({built_program("litepull"), "restore", config(), kept, "--to", target},
                                    {.env = {{"HOME", home()}}});
  EXPECT_EQ(restore.status.code, 0) << restore.out << restore.err;
  EXPECT_TRUE(fs::exists(target + "/production.sqlite3"));
}

TEST_F(OldScript, TheLastCopyStaysHoweverOldWhileNothingNewIsGood) {
  const std::string old = make_copy(30);
  EXPECT_EQ(cron("cleanup").status.code, 0);
  EXPECT_TRUE(fs::exists(directory() + "/" + old));
}

}  // namespace
}  // namespace litepull::test
