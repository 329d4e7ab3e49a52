// Unknown keys, missing keys, and values that could be commands.
#include "client/config/config.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_fixture.h"

namespace litepull {
namespace {

TEST_F(ConfigTest, EachMissingRequiredKeyIsNamedWithAnExampleLine) {
  for (const char* name :
       {"APP_NAME", "LOCAL_BACKUP_ROOT", "REMOTE_BACKUP_DIR", "SERVER_USER", "SERVER_HOST"}) {
    const Error error = refusal_of(file_with({{name, ""}}));
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << name;
    EXPECT_EQ(error.message(), path_ + ": " + name + " is missing");
    EXPECT_NE(error.hint().find(std::string(name) + "="), std::string::npos) << error.hint();
  }
}

TEST_F(ConfigTest, EachEmptyRequiredKeyIsNamedWithItsLine) {
  for (const char* name :
       {"APP_NAME", "LOCAL_BACKUP_ROOT", "REMOTE_BACKUP_DIR", "SERVER_USER", "SERVER_HOST"})
    expect_refused(name, "''", "is empty");
}

TEST_F(ConfigTest, AMisspeltRequiredKeyIsPointedOut) {
  const Error error = refusal_of(file_with({{"APP_NAME", ""}, {"APPNAME", "billing"}}));
  EXPECT_EQ(error.message(), path_ + ": APP_NAME is missing");
  EXPECT_EQ(error.hint(), "line 1 sets APPNAME; did you mean APP_NAME?");
}

TEST_F(ConfigTest, EmptyOptionalKeysCountAsNotSet) {
  const Config config =
      load_with({{"SSH_KEY", "''"}, {"SSH_KNOWN_HOSTS", "''"}, {"WORKSPACE_DIR", "''"}, {"EXCLUDE", "''"}});
  EXPECT_EQ(config.ssh_key, std::nullopt);
  EXPECT_EQ(config.ssh_known_hosts, std::nullopt);
  EXPECT_EQ(config.workspace_dir, "");
  EXPECT_TRUE(config.exclude.empty());
}

TEST_F(ConfigTest, AnUnknownKeyIsOnlyWarnedAbout) {
  const Config config =
      load(file_with({}) + "NOTIFY_EMAIL='a;b'\nRETENTION_DAY=3\nserver_port=1\nEXCLUDES=x\n");
  EXPECT_EQ(config.policy.retention_days, 7);
  EXPECT_EQ(config.warnings,
            (std::vector<std::string>{
                path_ + ":6: NOTIFY_EMAIL is not a key of litepull",
                path_ + ":7: RETENTION_DAY is not a key of litepull; did you mean RETENTION_DAYS?",
                path_ + ":8: server_port is not a key of litepull; did you mean SERVER_PORT?",
                path_ + ":9: EXCLUDES is not a key of litepull; did you mean EXCLUDE?"}));
}

TEST_F(ConfigTest, AVariableThatOtherLinesUseIsNotWarnedAbout) {
  EXPECT_TRUE(load("PROJECT=billing\n" + file_with({{"APP_NAME", "$PROJECT"}})).warnings.empty());
  EXPECT_EQ(load("APPNAME=billing\n" + file_with({{"APP_NAME", "$APPNAME"}})).warnings.size(), 1u);
}

TEST_F(ConfigTest, AKeySetTwiceIsWarnedAboutAndTheLastCounts) {
  const Config config = load(file_with({}) + "APP_NAME=second\n");
  EXPECT_EQ(config.app_name, "second");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_TRUE(config.warnings[0].starts_with(path_ + ":6: APP_NAME was set on line 1 already"));
}

TEST_F(ConfigTest, ALongValueIsCutInTheMessage) {
  const Error error = refusal_of(file_with({{"APP_NAME", std::string(10000, 'a')}}));
  EXPECT_LT(error.message().size(), 500u);
}

TEST_F(ConfigTest, TerminalEscapesInAFilesNameDoNotReachTheTerminal) {
  try {
    load_config(home_ + "/\x1B[31m.env", {});
    FAIL() << "it was loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
    EXPECT_TRUE(is_clean_utf8(error.message()));
  }
}

// A command in any form, in any key, is refused or stays text. It is never run.
TEST_F(ConfigTest, ACommandInAnyValueIsNeverRun) {
  const std::string touch = "touch " + canary_;
  const std::vector<std::string> executed{"$(" + touch + ")", "`" + touch + "`",  "x;" + touch,
                                          "x; " + touch,      "x&&" + touch,      "x|" + touch,
                                          ">" + canary_,      "<(" + touch + ")", "${X:=$(" + touch + ")}",
                                          "x " + touch};
  for (const std::string_view key : config_keys())
    for (const std::string& value : executed) {
      const std::string name(key);
      EXPECT_EQ(refusal_of(file_with({{name, value}})).kind(), ErrorKind::kConfiguration)
          << name << "=" << value;
      for (const std::string quote : {"'", "\""}) {
        try {
          load_with({{name, quote + value + quote}});
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << error.message();
        }
      }
      ASSERT_FALSE(fs::exists(canary_)) << name << "=" << value;
    }
}

// Each string is tried with every way of quoting that a file has.
TEST_F(ConfigTest, NoneOfFiveHundredStringsInAnyValueIsRun) {
  const std::vector<std::string> all = test::baits(canary_, "x");
  ASSERT_EQ(all.size(), test::kBaits);
  int taken = 0;
  for (const std::string_view key : config_keys())
    for (const std::string& bait : all) {
      const std::string name(key);
      for (const std::string& line : {test::env_line(name, bait), name + "=\"" + bait + "\"\n",
                                      name + "=" + bait + "\n", bait + "\n"}) {
        try {
          parse_config(file_with({{name, ""}}) + line, path_, {{"HOME", home_}});
          ++taken;
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << line;
          EXPECT_TRUE(is_clean_utf8(error.message())) << line;
        }
      }
      ASSERT_FALSE(fs::exists(canary_)) << name << "=" << bait;
    }
  EXPECT_GT(taken, 0);
}

TEST_F(ConfigTest, ACommandInSingleQuotesIsTextForTheKeysThatTakeAnyText) {
  const Config config = load_with({{"REMOTE_BACKUP_DIR", "'/srv/$(touch x)'"},
                                   {"LOCAL_BACKUP_ROOT", "'/b/`touch x`'"},
                                   {"WORKSPACE_DIR", "'/w;touch x'"},
                                   {"DATABASES", "'$(touch x)'"}});
  EXPECT_EQ(config.remote_backup_dir, "/srv/$(touch x)");
  EXPECT_EQ(config.local_backup_root, "/b/`touch x`");
  EXPECT_EQ(config.workspace_dir, "/w;touch x");
  EXPECT_EQ(config.databases, (std::vector<std::string>{"$(touch", "x)"}));
}

TEST_F(ConfigTest, TheSampleShowsEveryKeyAndLoads) {
  const fs::path root = fs::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
  std::ifstream in(root / "config/projects/example.env.sample");
  ASSERT_TRUE(in);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(load(text.str()).warnings.empty());
  // Those that most people leave alone are commented out; what stands there must be right, too.
  std::string all = text.str();
  for (const std::string_view key : config_keys())
    if (const auto at = all.find("\n#" + std::string(key) + "="); at != std::string::npos)
      all.erase(at + 1, 1);
  EXPECT_TRUE(load(all).warnings.empty());
  for (const std::string_view key : config_keys())
    EXPECT_NE(all.find("\n" + std::string(key) + "="), std::string::npos) << key;
}

}  // namespace
}  // namespace litepull
