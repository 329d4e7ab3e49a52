#include "client/nightly/schedule.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/error.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNasty = "/srv/100% of $HOME & <a> \"b\" 'c' ${d}";

DailyBackup daily() {
  DailyBackup backup;
  backup.app = "billing";
  backup.program = "/usr/bin/env";
  backup.config = kNasty;
  backup.home = "/home/a b";
  backup.log = "/home/a b/x.log";
  backup.at = {2, 5};
  backup.jitter_minutes = 20;
  return backup;
}

std::string deploy(const std::string& name) {
  return read_file((fs::path(__FILE__).parent_path() / "../../../deploy" / name).string());
}

bool is_installed(const std::string& program) {
  return run({"sh", "-c", "command -v " + program}).ok();
}

std::string line_after(const std::string& text, const std::string& start) {
  const std::size_t at = text.find("\n" + start);
  return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

TEST(TimeOfDay, IsHoursAndMinutes) {
  EXPECT_EQ(parse_time_of_day("02:05"), (TimeOfDay{2, 5}));
  EXPECT_EQ(parse_time_of_day("23:59"), (TimeOfDay{23, 59}));
  for (const char* text :
       {"", "2", "24:00", "02:60", "02:5", "02:05:00", " 02:05", "-1:00", "02:05\n*", "*:*"})
    EXPECT_FALSE(parse_time_of_day(text)) << text;
  EXPECT_EQ(time_text({2, 5}), "02:05");
}

TEST(Schedule, SystemdReadsAPathAsItIs) {
  EXPECT_EQ(systemd_word(R"(/a b/50%/"c"\d)"), R"("/a b/50%%/\"c\"\\d")");
  const std::string text = service_text(deploy("systemd/litepull.service"), daily());
  EXPECT_EQ(line_after(text, "ExecStart="),
            R"(ExecStart=:"/usr/bin/env" backup "/srv/100%% of $HOME & <a> \"b\" 'c' ${d}")");
  EXPECT_EQ(line_after(text, "Environment="), R"(Environment="HOME=/home/a b")");
}

TEST(Schedule, TheTimerIsOfThatTimeAndPersistent) {
  const std::string text = timer_text(deploy("systemd/litepull.timer"), daily());
  EXPECT_EQ(line_after(text, "OnCalendar="), "OnCalendar=*-*-* 02:05:00");
  EXPECT_EQ(line_after(text, "RandomizedDelaySec="), "RandomizedDelaySec=20min");
  EXPECT_EQ(line_after(text, "Persistent="), "Persistent=true");
  EXPECT_EQ(time_in_timer(text), (TimeOfDay{2, 5}));
}

TEST(Schedule, SystemdItselfFindsNothingToSay) {
  if (!is_installed("systemd-analyze")) GTEST_SKIP() << "systemd-analyze is not installed";
  const TempDir dir;
  for (const char* ending : {".service", ".timer"}) {
    const bool timer = std::string(ending) == ".timer";
    const std::string text = deploy(std::string("systemd/litepull") + ending);
    write_file(dir / ("litepull-billing" + std::string(ending)),
               timer ? timer_text(text, daily()) : service_text(text, daily()));
  }
  for (const char* which : {"--user", "--system"}) {
    RunOptions options;
    options.env = {{"XDG_RUNTIME_DIR", dir.path().string()}};
    const ProcessResult said = run({"systemd-analyze", which, "--man=no", "verify",
                                    dir / "litepull-billing.service", dir / "litepull-billing.timer"},
                                   options);
    EXPECT_TRUE(said.ok()) << which << said.out << said.err;
    EXPECT_EQ(said.err.find("litepull-billing"), std::string::npos) << said.err;
  }
}

TEST(Schedule, LaunchdsAgentIsXmlThatHoldsThePath) {
  const std::string text = launchd_text(deploy("launchd/litepull.plist"), daily());
  EXPECT_NE(text.find("<string>/srv/100% of $HOME &amp; &lt;a&gt; \"b\" 'c' ${d}</string>"),
            std::string::npos);
  EXPECT_EQ(time_in_launchd(text), (TimeOfDay{2, 5}));
  if (!is_installed("xmllint")) GTEST_SKIP() << "xmllint is not installed";
  const TempDir dir;
  write_file(dir / "agent.plist", text);
  const ProcessResult read =
      run({"xmllint", "--nonet", "--noout", "--xpath", "string(//array/string[3])", dir / "agent.plist"});
  EXPECT_EQ(read.out, std::string(kNasty) + "\n") << read.err;
}

// Reads a line as cron(8) does: a "%" without a backslash ends the command, and a backslash before "%" is
// removed.
TEST(Schedule, CronsShellGetsThePathAsItIs) {
  DailyBackup backup = daily();
  backup.program = "/bin/echo";
  std::string line = cron_line(backup);
  ASSERT_TRUE(line.starts_with("5 2 * * * ")) << line;
  line.erase(0, 10);
  std::string command;
  for (std::size_t i = 0; i < line.size(); ++i) {
    ASSERT_NE(line[i], '%') << line;
    if (line[i] == '\\' && line[i + 1] == '%') ++i;
    command += line[i];
  }
  EXPECT_EQ(run({"sh", "-c", command}).out, std::string("backup ") + kNasty + "\n");
  EXPECT_THROW(cron_word("/a\\b"), Error);
}

TEST(Schedule, FilledInTextIsNotLookedIntoAgain) {
  EXPECT_EQ(fill_template("@A@ @B@ @a@ @", {{"A", "@B@"}, {"B", "b"}}), "@B@ b @a@ @");
}

class ScheduleFiles : public testing::Test {
 protected:
  std::string units() const { return dir_ / "config/systemd/user"; }
  std::optional<ScheduleState> installed() { return installed_schedule("billing", environment_); }

  TempDir dir_;
  Environment environment_{{"HOME", dir_ / "home"}, {"XDG_CONFIG_HOME", dir_ / "config"}};
};

TEST_F(ScheduleFiles, AreFoundAgainAndRemoved) {
  EXPECT_FALSE(installed());
  EXPECT_EQ(schedule_directory(Scheduler::kSystemdUser, environment_), units());
  EXPECT_EQ(write_schedule(Scheduler::kSystemdUser, units(), daily(), {}).size(), 2U);
  auto state = installed();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->at, (TimeOfDay{2, 5}));
  EXPECT_FALSE(state->enabled);
  fs::create_directory(units() + "/timers.target.wants");
  fs::create_symlink("../litepull-billing.timer", units() + "/timers.target.wants/litepull-billing.timer");
  EXPECT_TRUE(installed()->enabled);
  EXPECT_FALSE(installed_schedule("shop", environment_));
  EXPECT_EQ(remove_schedule_files(Scheduler::kSystemdUser, units(), "billing").size(), 2U);
  EXPECT_FALSE(installed());
  EXPECT_TRUE(fs::is_empty(units() + "/timers.target.wants"));
  EXPECT_TRUE(remove_schedule_files(Scheduler::kSystemdUser, units(), "billing").empty());
}

TEST_F(ScheduleFiles, OfSomebodyElseAreLeftAlone) {
  write_file(units() + "/litepull-billing.timer", "[Timer]\n");
  EXPECT_THROW(write_schedule(Scheduler::kSystemdUser, units(), daily(), {}), Error);
  EXPECT_THROW(remove_schedule_files(Scheduler::kSystemdUser, units(), "billing"), Error);
  EXPECT_FALSE(fs::exists(units() + "/litepull-billing.service"));
  EXPECT_EQ(read_file(units() + "/litepull-billing.timer"), "[Timer]\n");
  EXPECT_FALSE(installed());
}

TEST_F(ScheduleFiles, LaunchdsAgentIsInTheHomeDirectory) {
  const std::string agents = schedule_directory(Scheduler::kLaunchd, environment_);
  EXPECT_EQ(agents, dir_ / "home/Library/LaunchAgents");
  write_schedule(Scheduler::kLaunchd, agents, daily(), {});
  ASSERT_TRUE(installed());
  EXPECT_EQ(installed()->scheduler, Scheduler::kLaunchd);
  EXPECT_EQ(remove_schedule_files(Scheduler::kLaunchd, agents, "billing").size(), 1U);
}

}  // namespace
}  // namespace litepull::test
