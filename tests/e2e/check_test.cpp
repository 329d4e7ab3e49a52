// `litepull check` finds what would stop a nightly run, and the remedy that it names works.
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/e2e/check_fixture.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

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
