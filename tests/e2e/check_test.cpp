// `litepull check` finds what is in the way of a nightly run, and what it says to do then works.
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/pull_fixture.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class Check : public testing::Test {
 protected:
  explicit Check(Over over = Over::kLocal) : app_(over) {
    app_.make_bank("main.sqlite3", "wal");
    app_.set_environment("HOME", app_.scratch("home"));
    fs::create_directory(app_.scratch("home"));
  }

  // The exit code, and the steps in `steps_`.
  int check() {
    const ProcessResult said = app_.litepull({"check", "--json"});
    words_ = said.out + said.err;
    const auto json = nlohmann::json::parse(said.out, nullptr, false);
    steps_ = json.is_object() && json.contains("steps") ? json["steps"] : nlohmann::json::array();
    return said.status.code;
  }

  // The first step of that name which is in that state; its text and hint in one.
  std::string step(const std::string& name, const std::string& state) const {
    for (const auto& step : steps_)
      if (step["name"] == name && step["state"] == state)
        return step["text"].get<std::string>() + " > " + step["hint"].get<std::string>();
    return "";
  }

  void expect_step(const std::string& name, const std::string& state, const std::string& words) const {
    const std::string found = step(name, state);
    EXPECT_FALSE(found.empty()) << name << " is not " << state << "\n" << words_;
    EXPECT_NE(found.find(words), std::string::npos) << words_;
  }

  void expect_ready() {
    EXPECT_EQ(check(), 0) << words_;
    for (const auto& step : steps_) EXPECT_NE(step["state"], "FAILED") << words_;
  }

  PullFixture app_;
  nlohmann::json steps_;
  std::string words_;
};

class CheckOverSsh : public Check {
 protected:
  CheckOverSsh() : Check(Over::kSsh) {}
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
  // The remedy is a command: what it says between its first echo and its end is typed as it is.
  const std::string said = step("host key", "FAILED");
  const std::size_t at = said.find("echo '");
  ASSERT_NE(at, std::string::npos) << said;
  const std::size_t end = said.find(app_.sshd().known_hosts_path(), at);
  ASSERT_NE(end, std::string::npos) << said;
  const std::string remedy = said.substr(at, end - at) + app_.sshd().known_hosts_path();
  ASSERT_TRUE(run({"/bin/sh", "-c", remedy}).ok()) << remedy;
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAHostKeyThatHasChanged) {
  app_.sshd().replace_host_keys();
  EXPECT_EQ(check(), 3);
  expect_step("host key", "FAILED", "");
  expect_step("login", "skipped", "");
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
}

TEST_F(CheckOverSsh, NamesAPublicKeyInPlaceOfThePrivateOne) {
  app_.set("SSH_KEY", app_.sshd().key_path() + ".pub");
  EXPECT_EQ(check(), 3);
  expect_step("key", "FAILED", ".pub");
}

TEST_F(Check, NamesAStorageDirectoryThatIsNotThere) {
  const std::string storage = app_.storage();
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  EXPECT_EQ(check(), 2);
  expect_step("storage", "FAILED", "check REMOTE_BACKUP_DIR");
  expect_step("databases", "skipped", "");
  app_.set("REMOTE_BACKUP_DIR", storage);
  expect_ready();
}

TEST_F(Check, NamesPatternsThatMatchNothing) {
  app_.set("DATABASES", "*.db");
  EXPECT_EQ(check(), 2);
  expect_step("storage", "FAILED", "matches DATABASES");
  app_.set("DATABASES", "");
  expect_ready();
}

TEST_F(Check, NamesEachFileThatIsNoDatabaseToPull) {
  write_file(app_.in_storage("empty.sqlite3"), "");
  write_file(app_.in_storage("noise.sqlite3"), std::string(8192, 'x'));
  fs::create_symlink("main.sqlite3", app_.in_storage("link.sqlite3"));
  EXPECT_EQ(check(), 4);
  const std::string all = steps_.dump();
  for (const char* name : {"empty.sqlite3: ", "noise.sqlite3: ", "link.sqlite3: "})
    EXPECT_NE(all.find(name), std::string::npos) << name << words_;
  expect_step("database", "FAILED", "EXCLUDE");
  expect_step("database", "ok", "main.sqlite3");
  app_.set("EXCLUDE", "empty.sqlite3 noise.sqlite3 link.sqlite3");
  expect_ready();
}

TEST_F(Check, WhereNoDatabaseCanBePulledNothingWouldBePublished) {
  write_file(app_.in_storage("noise.sqlite3"), std::string(8192, 'x'));
  app_.set("EXCLUDE", "main.sqlite3");
  EXPECT_EQ(check(), 1);
  EXPECT_EQ(app_.backup().exit_code(), 1);  // a run says the same
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

TEST_F(Check, NamesADatabaseThatIsGoneSinceTheLastSnapshot) {
  app_.make_bank("second.sqlite3", "wal");
  ASSERT_EQ(app_.backup().exit_code(), 0);
  fs::remove(app_.in_storage("second.sqlite3"));
  EXPECT_EQ(check(), 4);
  expect_step("database", "FAILED", "second.sqlite3: is in snapshot");
  EXPECT_EQ(app_.backup().exit_code(), 4);  // a run says the same
  app_.set("EXCLUDE", "second.sqlite3");
  expect_ready();
}

TEST_F(Check, NamesAKeyOfTheConfigurationThatIsNone) {
  app_.set("RETENTION_DAY", "9");
  expect_ready();
  expect_step("configuration", "warning", "did you mean RETENTION_DAYS");
}

TEST_F(Check, NamesALocalDirectoryThatCannotBe) {
  write_file(app_.scratch("file"), "");
  app_.set("LOCAL_BACKUP_ROOT", app_.scratch("file") + "/backups");
  EXPECT_EQ(check(), 1);
  expect_step("local disk", "FAILED", "LOCAL_BACKUP_ROOT");
}

TEST_F(Check, NamesALocalDiskThatIsTooSmall) {
  const SmallDisk disk(app_.scratch("disk"), "size=16k,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  app_.set("LOCAL_BACKUP_ROOT", app_.scratch("disk"));
  EXPECT_EQ(check(), 1);
  expect_step("local disk", "FAILED", "the next snapshot may need");
}

TEST_F(Check, NamesARunThatIsAtWork) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const int lock = ::open((app_.app_directory() + "/.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(check(), 0) << words_;
  expect_step("lock", "warning", "another run");
  ::close(lock);
  expect_ready();
  expect_step("lock", "ok", "");
}

TEST_F(Check, KnowsAScheduleThatIsInstalled) {
  app_.litepull({"schedule", "--at", "02:00"});  // where no systemd runs, the files are written all the same
  check();
  expect_step("schedule", "warning", "");
  EXPECT_EQ(step("schedule", "warning").find("none that litepull"), std::string::npos) << words_;
}

TEST_F(Check, WritesNothingToTheStorage) {
  const auto listing = [&] {
    std::string all;
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(app_.storage())) names.insert(entry.path());
    for (const std::string& name : names) all += name + "\n" + read_file(name);
    return all;
  };
  const std::string before = listing();
  expect_ready();
  EXPECT_EQ(listing(), before);
}

TEST_F(Check, OfAConfigurationThatCannotBeReadIsExitCode2) {
  app_.set("APP_NAME", "../evil");
  EXPECT_EQ(check(), 2);
}

}  // namespace
}  // namespace litepull::test
