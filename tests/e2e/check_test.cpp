// `litepull check` finds what would stop a nightly run, and the remedy that it names works.
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/pull_fixture.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class Check : public testing::Test {
 protected:
  explicit Check(Over over = Over::kLocal, const SshdOptions& options = {}) : app_(over, options) {
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
  explicit CheckOverSsh(const SshdOptions& options = {}) : Check(Over::kSsh, options) {}

  // The remedy for a host key that is not known is a command: what is said from its first echo to its end is
  // typed as it is.
  void trust_as_said() {
    const std::string said = step("host key", "FAILED");
    const std::size_t at = said.find("echo '");
    ASSERT_NE(at, std::string::npos) << said;
    const std::size_t end = said.find(app_.sshd().known_hosts_path(), at);
    ASSERT_NE(end, std::string::npos) << said;
    const std::string remedy = said.substr(at, end - at) + app_.sshd().known_hosts_path();
    ASSERT_TRUE(run({"/bin/sh", "-c", remedy}).ok()) << remedy;
  }
};

// A login that finds a sudo of the test's own in its PATH; the real one's rules are the machine's.
class CheckThroughSudo : public CheckOverSsh {
 protected:
  explicit CheckThroughSudo(const std::shared_ptr<TempDir>& bin = std::make_shared<TempDir>())
      : CheckOverSsh({.extra_lines = {"ForceCommand PATH=" + bin->path().string() +
                                      ":$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\""}}),
        bin_(bin) {
    app_.set("REMOTE_SUDO", "yes");
  }

  void use_sudo(const std::string& script) {
    write_file(*bin_ / "sudo", "#!/bin/sh\n" + script + "\n", 0700);
  }

 private:
  std::shared_ptr<TempDir> bin_;
};

class CheckWithoutPrograms : public CheckOverSsh {
 protected:
  CheckWithoutPrograms() : CheckOverSsh({.extra_lines = {"ForceCommand /bin/false"}}) {}
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
  trust_as_said();
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAHostKeyThatHasChangedAndHowToRemoveTheOldOne) {
  app_.sshd().replace_host_keys();
  EXPECT_EQ(check(), 3);
  expect_step("host key", "FAILED", "CHANGED");
  expect_step("login", "skipped", "");
  const std::string said = step("host key", "FAILED");
  const std::size_t at = said.find("ssh-keygen -f ");
  ASSERT_NE(at, std::string::npos) << said;
  const std::string remedy = said.substr(at, said.find(", and trust", at) - at);
  ASSERT_TRUE(run({"/bin/sh", "-c", remedy}).ok()) << remedy;
  EXPECT_EQ(check(), 3);
  expect_step("host key", "FAILED", "not known");
  trust_as_said();
  expect_ready();
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
  // As the remedy says: a key for this alone, added to authorized_keys.
  const std::string own = app_.scratch("litepull");
  ASSERT_TRUE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own}).ok());
  write_file(fs::path(app_.sshd().key_path()).parent_path() / "authorized_keys", read_file(own + ".pub"));
  app_.set("SSH_KEY", own);
  expect_ready();
  expect_step("key", "ok", "usable without a terminal");
}

TEST_F(CheckOverSsh, NamesAPublicKeyInPlaceOfThePrivateOne) {
  app_.set("SSH_KEY", app_.sshd().key_path() + ".pub");
  EXPECT_EQ(check(), 3);
  expect_step("key", "warning", ".pub holds only the public half");
  expect_step("login", "FAILED", "name the private key itself, not the .pub file");
  app_.set("SSH_KEY", app_.sshd().key_path());
  expect_ready();
}

TEST_F(CheckOverSsh, NamesAMissingAgent) {
  const std::string nowhere = app_.scratch("no-agent");
  app_.set_environment("LITEPULL_AGENT", nowhere);
  EXPECT_EQ(check(), 1);
  EXPECT_NE(words_.find("no-agent"), std::string::npos) << words_;
  app_.set_environment("LITEPULL_AGENT", built_program("litepull-agent"));
  expect_ready();
}

TEST_F(CheckOverSsh, SaysWhereTheAgentIsKeptAndWhyNotElsewhere) {
  const SmallDisk disk(app_.sshd().remote_cache(), "size=512m,mode=0755", SmallDisk::kNoExec);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  expect_ready();
  expect_step("agent", "ok", "a new build would go to /");
  expect_step("agent", "ok", app_.sshd().remote_cache() + "/litepull: programs cannot run there");
}

TEST_F(CheckOverSsh, NamesAFullDirectoryOfTheAgents) {
  const SmallDisk disk(app_.sshd().remote_cache(), "size=64k,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  expect_ready();
  expect_step("agent", "ok", app_.sshd().remote_cache() + "/litepull: it has no room");
}

TEST_F(CheckWithoutPrograms, NamesALoginThatRunsNothing) {
  EXPECT_EQ(check(), 1);
  expect_step("login", "ok", "");
  expect_step("agent", "FAILED", "no ForceCommand, no nologin shell");
  expect_step("storage", "skipped", "");
}

TEST_F(CheckThroughSudo, NamesASudoThatAsksForAPasswordAndTheRuleThatAllowsIt) {
  use_sudo("echo 'sudo: a password is required' >&2; exit 1");
  EXPECT_EQ(check(), 1);
  expect_step("agent", "FAILED", "sudo: a password is required");
  expect_step("agent", "FAILED",
              "NOPASSWD: /usr/local/lib/litepull/agent-* --storage " + app_.storage() +
                  "' > /etc/sudoers.d/litepull-app");
  use_sudo("shift; SUDO_UID=0 exec \"$@\"");  // what the rule is for: no password, the program as it is named
  expect_ready();
  expect_step("agent", "ok", "through sudo");
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

TEST_F(Check, NamesAStorageDirectoryThatTheLoginMayNotRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  fs::permissions(app_.storage(), fs::perms(0700));
  for (const std::string& path : {app_.scratch("."), app_.scratch("home")})
    fs::permissions(path, fs::perms(0755));
  const auto as_nobody = [&] {
    return run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env",
                "HOME=" + app_.scratch("home"), built_program("litepull"), "check", app_.config_path()});
  };
  ASSERT_EQ(::chown(app_.config_path().c_str(), 65534, 65534), 0);
  EXPECT_NE(as_nobody().out.find("set REMOTE_SUDO=yes, or SERVER_USER to root"), std::string::npos)
      << as_nobody().out << as_nobody().err;
  // As the directory's owner, which is the remedy's other half where there is no SSH.
  for (const std::string& path : {app_.storage(), app_.in_storage("main.sqlite3")})
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  EXPECT_NE(as_nobody().out.find("ok       database       main.sqlite3"), std::string::npos)
      << as_nobody().out << as_nobody().err;
}

// What the cleanup.sh of the old script does.
constexpr const char* kOldCleanup =
    "source \"$1\"\nfind \"$LOCAL_BACKUP_ROOT/$APP_NAME\" -type d -mtime +7 -exec rm -rf {} +\n";

TEST_F(Check, ALogFileInADirectoryThatDoesNotExistStopsABackupBeforeItPulls) {
  const BackupRun run = app_.backup({"--log-file", app_.scratch("missing/run.log")});
  EXPECT_EQ(run.exit_code(), 2) << run.words();
  EXPECT_NE(run.process.err.find("its directory does not exist"), std::string::npos) << run.words();
  EXPECT_FALSE(fs::exists(app_.scratch("missing")));
  EXPECT_TRUE(app_.snapshots().empty());
}

class CheckOldCleanup : public Check {
 protected:
  CheckOldCleanup() {
    fs::create_directory(bin());
    app_.set_environment("PATH", bin() + ":/usr/bin:/bin");
  }
  std::string bin() const { return app_.scratch("bin"); }
  void use_crontab(const std::string& script) {
    write_file(bin() + "/crontab", "#!/bin/sh\n" + script + "\n", 0700);
  }
  void list(const std::string& line) { use_crontab("cat <<'END'\n" + line + "\nEND"); }
};

TEST_F(CheckOldCleanup, IsFoundInTheCrontab) {
  list("0 4 * * * cd ~/ops && ./cleanup.sh billing.env >/dev/null 2>&1");
  EXPECT_EQ(check(), 0) << words_;
  expect_step("old cleanup", "warning", "your crontab runs ./cleanup.sh");
  expect_step("old cleanup", "warning", "pinned and the last good one");
  expect_step("old cleanup", "warning", "crontab -e");
  write_file(app_.scratch("db-cleanup.sh"), kOldCleanup);
  list("@daily bash '" + app_.scratch("db-cleanup.sh") + "'");
  check();
  expect_step("old cleanup", "warning", "your crontab runs " + app_.scratch("db-cleanup.sh"));
}

TEST_F(CheckOldCleanup, IsNotTakenForWhatDoesNoHarm) {
  write_file(app_.scratch("cleanup.sh"), "exec litepull cleanup \"$1\"\n");
  for (const std::string& line :
       {std::string("# 0 4 * * * cleanup.sh billing.env"),
        std::string("0 4 * * * litepull cleanup billing.env"), std::string("0 4 * * * diskcleanup.sh"),
        "0 4 * * * " + app_.scratch("cleanup.sh")}) {
    list(line);
    EXPECT_EQ(check(), 0) << words_;
    EXPECT_EQ(step("old cleanup", "warning"), "") << line;
  }
}

TEST_F(CheckOldCleanup, IsFoundBesideTheConfiguration) {
  write_file(app_.scratch("cleanup.sh"), kOldCleanup);
  EXPECT_EQ(check(), 0) << words_;
  expect_step("old cleanup", "warning", "rm " + app_.scratch("cleanup.sh"));
  fs::remove(app_.scratch("cleanup.sh"));
  fs::create_directory(app_.scratch("cleanup.sh"));
  check();
  EXPECT_EQ(step("old cleanup", "warning"), "");
}

TEST_F(CheckOldCleanup, ACrontabThatFailsOrNeverAnswersIsNoError) {
  for (const char* script :
       {"echo 'no crontab for me' >&2; exit 1", "yes cleanup.sh | head -c 3000000; exit 1",
        "echo '* * * * * cleanup.sh'; sleep 60"}) {
    use_crontab(script);
    EXPECT_EQ(check(), 0) << words_;
    EXPECT_EQ(step("old cleanup", "warning"), "") << script;
  }
}

// As a login that is neither root nor the owner, while the app runs.
TEST_F(Check, SaysWhatAnotherUserThanTheOwnerMustBeAllowed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  const Child app = app_.start_bank("open.sqlite3", "wal");
  app_.set("DATABASES", "open.sqlite3");
  app_.set("LOCAL_BACKUP_ROOT", "/tmp");
  fs::permissions(app_.scratch("."), fs::perms(0755));
  fs::permissions(app_.storage(), fs::perms(0755));
  fs::permissions(app_.config_path(), fs::perms(0644));
  const auto as_nobody = [&] {
    return run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", built_program("litepull"),
                "check", app_.config_path()})
        .out;
  };
  const std::string database = app_.in_storage("open.sqlite3");
  fs::permissions(database, fs::perms(0666));
  fs::permissions(database + "-wal", fs::perms(0644));
  fs::permissions(database + "-shm", fs::perms(0644));
  const std::string said = as_nobody();
  EXPECT_NE(said.find("user 65534 may not both read and write its -wal file and its -shm file"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("permission to read and write the database, its -wal and its -shm file"),
            std::string::npos)
      << said;
  for (const char* ending : {"-wal", "-shm"}) fs::permissions(database + ending, fs::perms(0666));
  EXPECT_NE(as_nobody().find("ok       database       open.sqlite3"), std::string::npos) << as_nobody();
}

TEST_F(Check, NamesADatabaseOfAnotherOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  app_.make_bank("second.sqlite3", "wal");
  app_.make_bank("theirs.sqlite3", "wal");
  for (const char* name : {"main.sqlite3", "second.sqlite3"})
    ASSERT_EQ(::chown(app_.in_storage(name).c_str(), 1001, 1001), 0);
  ASSERT_EQ(::chown(app_.in_storage("theirs.sqlite3").c_str(), 1002, 1002), 0);
  fs::permissions(app_.scratch("."), fs::perms(0711));
  fs::permissions(app_.storage(), fs::perms(0777));  // both apps make their sidecars there
  EXPECT_EQ(check(), 4);
  expect_step("database", "FAILED", "theirs.sqlite3: the agent: it belongs to user 1002");
  expect_step("database", "FAILED", "give each owner's databases a configuration of their own");
  app_.set("EXCLUDE", "theirs.sqlite3");
  expect_ready();
  app_.set("EXCLUDE", "");
  app_.set("DATABASES", "theirs.sqlite3");  // the other configuration
  expect_ready();
}

TEST_F(Check, NamesAWalThatNobodyResets) {
  const std::string wal = app_.in_storage("main.sqlite3-wal");
  write_file(wal, "");
  fs::resize_file(wal, (1ULL << 30) + 4096);
  check();
  expect_step("database", "warning", "its WAL has grown to 1.1 GB");
  run({"sqlite3", app_.in_storage("main.sqlite3"), "PRAGMA wal_checkpoint(TRUNCATE)"});
  expect_ready();
  EXPECT_EQ(step("database", "warning"), "");
}

TEST_F(Check, NamesAClockThatIsWrong) {
  app_.set_environment("LITEPULL_AGENT", built_program("hostile_agent"));
  app_.set_environment("HOSTILE_SCRIPT", "look-two-days-ahead");
  app_.set_environment("HOSTILE_DATABASE", app_.in_storage("main.sqlite3"));
  app_.set_environment("HOSTILE_NAMES", "");
  EXPECT_EQ(check(), 0) << words_;
  expect_step("clock", "warning", "ahead of this machine's; a run prunes nothing then");
  expect_step("clock", "warning", "timedatectl set-ntp true");
  app_.set_environment("LITEPULL_AGENT", built_program("litepull-agent"));
  expect_ready();
  expect_step("clock", "ok", "");
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
  expect_step("database", "FAILED", "second.sqlite3: is not on the server");
  EXPECT_EQ(app_.backup().exit_code(), 4);  // a run says the same
  app_.set("EXCLUDE", "second.sqlite3");
  expect_ready();
  app_.set("EXCLUDE", "");
  app_.set("DATABASES", "main*");  // narrowed on purpose
  expect_ready();
  app_.set("DATABASES", "main* third.sqlite3");
  EXPECT_EQ(check(), 4);
  expect_step("database", "FAILED", "third.sqlite3: is not on the server");
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
  app_.set("LOCAL_BACKUP_ROOT", app_.workspace());
  expect_ready();
}

TEST_F(Check, NamesALocalDiskThatIsTooSmall) {
  const SmallDisk disk(app_.scratch("disk"), "size=16k,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  app_.set("LOCAL_BACKUP_ROOT", app_.scratch("disk"));
  EXPECT_EQ(check(), 1);
  expect_step("local disk", "FAILED", "the next snapshot may need");
  ASSERT_TRUE(run({"mount", "-o", "remount,size=64m", app_.scratch("disk")}).ok());  // space is freed
  expect_ready();
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

// With a systemctl that only makes the link of `enable`: the real one would change this machine.
TEST_F(Check, NamesAScheduleThatIsMissingOrNotEnabled) {
  const auto use_systemctl = [&](const std::string& script) {
    write_file(app_.scratch("bin/systemctl"), "#!/bin/sh\n" + script + "\n", 0700);
  };
  use_systemctl("exit 1");
  write_file(app_.scratch("bin/loginctl"), "#!/bin/sh\necho yes\n", 0700);
  app_.set_environment("PATH", app_.scratch("bin") + ":" + std::getenv("PATH"));
  expect_ready();
  expect_step("schedule", "warning", "litepull schedule " + app_.config_path() + " --at 04:00");
  app_.litepull({"schedule", "--at", "02:00"});  // as it says; the files are there, and systemd is not
  expect_ready();
  expect_step("schedule", "warning", "not enabled");
  use_systemctl(
      "d=$HOME/.config/systemd/user; [ \"$2\" != enable ] || "
      "{ mkdir -p $d/timers.target.wants && ln -s ../$3 $d/timers.target.wants/$3; }");
  EXPECT_TRUE(app_.litepull({"schedule", "--at", "02:00"}).ok());
  expect_ready();
  expect_step("schedule", "ok", "every day at 02:00");
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
