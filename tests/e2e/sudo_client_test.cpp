// An honest client whose login starts the agent through the real sudo, with the rule that litepull's own
// message named.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "tests/e2e/lent_fixture.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace {

// Logs in over SSH as the test's user; at sudo, and for what `id -un` says, it is nobody.
class LentToAClient : public Lent {
 protected:
  LentToAClient()
      : app_(Over::kSsh, {.extra_lines = {"ForceCommand PATH=" + bin_.path().string() +
                                          ":$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\""}}) {}

  void SetUp() override {
    Lent::SetUp();
    if (IsSkipped()) return;
    fs::permissions(bin_.path(), fs::perms(0755));
    write_file(bin_ / "sudo",
               "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/sudo \"$@\"\n",
               0755);
    write_file(bin_ / "id", "#!/bin/sh\n[ \"$1\" = -un ] && echo nobody || exec /usr/bin/id \"$@\"\n", 0755);
    fs::remove("/etc/sudoers.d/litepull");
    app_.set("REMOTE_SUDO", "yes");
    app_.set("EXCLUDE", "roots.sqlite3 bobs.sqlite3 text.sqlite3 empty.sqlite3 hard.sqlite3 link.sqlite3");
  }

  // As the message of a refusal says, typed as it is.
  void allow_as_said() {
    const std::string said = app_.backup().process.err;
    const std::size_t at = said.find("allow it, as root there: ");
    ASSERT_NE(at, std::string::npos) << said;
    const std::string commands = said.substr(at + std::strlen("allow it, as root there: "));
    const ProcessResult done = run({"/bin/sh", "-c", commands.substr(0, commands.find('\n'))});
    ASSERT_TRUE(done.ok()) << commands << done.err;
    ASSERT_TRUE(run({"visudo", "-c"}).ok()) << commands;
  }

  TempDir bin_;
  PullFixture app_;
};

TEST_F(LentToAClient, WhatARefusalSaysIsTypedAndThenPullsAndRestoresWork) {
  app_.move_storage(storage_);
  allow_as_said();
  EXPECT_FALSE(fs::exists(kAgent)) << "an agent of an older build, which may know no bounds, is still there";
  const BackupRun backup = app_.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const std::string before = read_file(in("production.sqlite3"));
  make_database(dir_ / "changed.sqlite3", "the accident", kApp);
  fs::rename(dir_ / "changed.sqlite3", in("production.sqlite3"));
  fs::remove(in("queue.sqlite3"));
  const ProcessResult restored = run(
      {built_program("litepull"), "restore", app_.config_path(), "latest", "--to-server", "--yes", "app"});
  EXPECT_TRUE(restored.ok()) << restored.out << restored.err;
  EXPECT_EQ(read_file(in("queue.sqlite3")),
            inside_.at(in("queue.sqlite3")).substr(std::strlen("1234 33152 ")));
  struct stat status {};
  ASSERT_EQ(::stat(in("queue.sqlite3").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kApp);
  EXPECT_EQ(read_file(in("production.sqlite3")).size(), before.size());
  EXPECT_NE(read_file(in("production.sqlite3")).find("public"), std::string::npos);
}

TEST_F(LentToAClient, TheRuleOfADirectoryWithAnyNameIsForThatDirectoryAlone) {
  for (const std::string name :
       {"bill ing", "a,b:c=d#e", "w*ld", "wh?t[x]!", "back\\slash", "it's \"$(id)\" `id`", "é^~@"}) {
    const std::string storage = dir_ / name;
    fs::create_directory(storage);
    own(storage, kApp);
    make_database(storage + "/main.sqlite3", "public", kApp);
    fs::remove_all(app_.app_directory());  // of another directory
    app_.set("REMOTE_BACKUP_DIR", "placeholder");
    std::string config = read_file(app_.config_path());
    const std::size_t at = config.find("'placeholder'");
    ASSERT_NE(at, std::string::npos);
    std::string quoted;
    for (const char c : storage) quoted += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    config.replace(at, std::strlen("'placeholder'"), "'" + quoted + "'");
    write_file(app_.config_path(), config);
    for (const auto& entry : fs::directory_iterator("/etc/sudoers.d")) fs::remove(entry.path());
    allow_as_said();
    const BackupRun backup = app_.backup();
    EXPECT_EQ(backup.exit_code(), 0) << name << backup.words();
    const std::string agent = fs::directory_iterator(kRoots)->path();
    const auto may_start = [&](const std::vector<std::string>& arguments) {
      std::vector<std::string> words{
          "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/sudo", "-n", "-l", "--",
          agent};
      words.insert(words.end(), arguments.begin(), arguments.end());
      return run(words).ok();
    };
    EXPECT_TRUE(may_start({"--storage", storage})) << name;
    for (const std::string& other :
         {storage_, storage + "x", dir_ / "wild", dir_ / "whatx", dir_ / "a", std::string("/")})
      EXPECT_FALSE(may_start({"--storage", other})) << name << " " << other;
    EXPECT_FALSE(may_start({})) << name;
  }
}

}  // namespace
}  // namespace litepull::test
