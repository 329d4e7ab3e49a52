// `schedule` with a systemctl and a loginctl that record their arguments, since the real ones would change
// this machine. The commands that they would run are run here as they would: with an empty environment.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class Schedule : public testing::Test {
 protected:
  Schedule() {
    app_.make_bank("main.sqlite3", "wal");
    fake("systemctl", "echo \"$*\" >>'" + asked_ + "'");
    fake("loginctl", "echo no");
    app_.set_environment("PATH", app_.scratch("bin") + ":" + std::getenv("PATH"));
    app_.set_environment("HOME", app_.scratch("home"));
    app_.set_environment("XDG_CONFIG_HOME", app_.scratch("config home"));
  }

  void fake(const std::string& name, const std::string& script) {
    write_file(app_.scratch("bin/" + name), "#!/bin/sh\n" + script + "\n", 0700);
  }
  std::string unit(const std::string& ending) const {
    return app_.scratch("config home/systemd/user/litepull-app." + ending);
  }
  ProcessResult schedule(const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"schedule"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return app_.litepull(all);
  }

  PullFixture app_{Over::kLocal};
  const std::string asked_ = app_.scratch("asked");
};

TEST_F(Schedule, WritesEnablesShowsAndRemoves) {
  const ProcessResult made = schedule({"--at", "02:00", "--jitter", "5"});
  EXPECT_TRUE(made.ok()) << made.out << made.err;
  EXPECT_EQ(read_file(asked_),
            "--user daemon-reload\n--user enable litepull-app.timer\n--user restart litepull-app.timer\n");
  EXPECT_NE(made.err.find("type: loginctl enable-linger"), std::string::npos) << made.err;
  EXPECT_NE(read_file(unit("timer")).find("OnCalendar=*-*-* 02:00:00\n"), std::string::npos);
  EXPECT_TRUE(schedule({"--at", "03:30"}).ok());  // replaces it
  const ProcessResult shown = schedule({"--show"});
  EXPECT_NE(shown.out.find("every day at 03:30"), std::string::npos) << shown.out;
  fs::remove(asked_);
  EXPECT_TRUE(schedule({"--remove"}).ok());
  EXPECT_EQ(read_file(asked_), "--user disable --now litepull-app.timer\n--user daemon-reload\n");
  EXPECT_FALSE(fs::exists(unit("timer")));
  EXPECT_FALSE(fs::exists(unit("service")));
  EXPECT_NE(schedule({"--show"}).out.find("not scheduled"), std::string::npos);
}

TEST_F(Schedule, WhoLingersIsNotWarned) {
  fake("loginctl", "echo yes");
  EXPECT_EQ(schedule({"--at", "02:00"}).err, "");
}

TEST_F(Schedule, WithoutABusTheFilesAreThereAndItSaysThatNothingIsScheduled) {
  fake("systemctl", "echo 'Failed to connect to bus: No medium found' >&2; exit 1");
  const ProcessResult made = schedule({"--at", "02:00"});
  EXPECT_EQ(made.status.code, 1);
  EXPECT_NE(made.err.find("nothing is scheduled: Failed to connect to bus: No medium found"),
            std::string::npos)
      << made.err;
  EXPECT_NE(made.err.find("type: systemctl --user daemon-reload && "), std::string::npos) << made.err;
  EXPECT_NE(made.err.find("0 2 * * * '"), std::string::npos) << made.err;
  EXPECT_TRUE(fs::exists(unit("timer")) && fs::exists(unit("service")));
  EXPECT_NE(schedule({"--show"}).out.find("NOT ENABLED"), std::string::npos);
  EXPECT_TRUE(schedule({"--remove"}).ok());
  EXPECT_FALSE(fs::exists(unit("timer")));
}

TEST_F(Schedule, WhatTheUnitStartsWorksWithNothingInTheEnvironment) {
  ASSERT_TRUE(schedule({"--at", "02:00"}).ok());
  const std::string text = read_file(unit("service"));
  const std::size_t at = text.find("\nExecStart=:") + 12;
  RunOptions bare;
  bare.clean_env = true;
  // A quoted word without '%', '$' and '\' in it means the same to systemd and to sh.
  const std::string line = text.substr(at, text.find('\n', at) - at);
  ASSERT_EQ(line.find_first_of("%$\\"), std::string::npos) << line;
  const ProcessResult run = test::run({"/usr/bin/env", "-i", "/bin/sh", "-c", "cd / && exec " + line}, bare);
  EXPECT_TRUE(run.ok()) << run.out << run.err;
  EXPECT_EQ(app_.snapshots().size(), 1U);
}

TEST_F(Schedule, TheCrontabsLineWorksInCronsShell) {
  const ProcessResult printed = schedule({"--at", "02:00", "--print-cron"});
  EXPECT_TRUE(printed.ok()) << printed.err;
  ASSERT_TRUE(printed.out.starts_with("0 2 * * * '/")) << printed.out;
  EXPECT_FALSE(fs::exists(asked_));
  RunOptions bare;
  bare.clean_env = true;
  EXPECT_TRUE(run({"/bin/sh", "-c", printed.out.substr(10)}, bare).ok());
  EXPECT_EQ(app_.snapshots().size(), 1U);
}

TEST_F(Schedule, AVariableOfTheShellIsFoundMissingNowAndNotAtNight) {
  app_.set_environment("BACKUPS", app_.workspace());
  std::string text = read_file(app_.config_path());
  text += "LOCAL_BACKUP_ROOT=\"$BACKUPS\"\n";
  write_file(app_.config_path(), text);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const ProcessResult made = schedule({"--at", "02:00"});
  EXPECT_EQ(made.status.code, 2) << made.out;
  EXPECT_NE(made.err.find("BACKUPS"), std::string::npos) << made.err;
  EXPECT_FALSE(fs::exists(unit("timer")));
}

TEST_F(Schedule, WrongTimesAreRefused) {
  for (const char* time : {"24:00", "2", "noon", "02:00; reboot"})
    EXPECT_EQ(schedule({"--at", time}).status.code, 2) << time;
  EXPECT_EQ(schedule({}).status.code, 2);
  EXPECT_EQ(schedule({"--at", "02:00", "--remove"}).status.code, 2);
  EXPECT_EQ(schedule({"--show", "--jitter", "5"}).status.code, 2);
  EXPECT_FALSE(fs::exists(unit("timer")));
}

}  // namespace
}  // namespace litepull::test
