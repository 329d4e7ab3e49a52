#include "client/cli/line.h"

#include <gtest/gtest.h>

#include "client/cli/duration.h"

namespace litepull {
namespace {

using Words = std::vector<std::string>;

const std::vector<KnownCommand> kCommands{
    {"backup",
     {{"--label", true}, {"--full"}, {"-q"}, {"--quiet"}, {"-j", true}, {"--jobs", true}},
     {{"CONFIG", true, true, "app.env"}},
     {}},
    {"restore",
     {{"--to", true}, {"--to-server"}, {"-q"}},
     {{"CONFIG", true, false, "app.env"}, {"SNAPSHOT", true, false, "latest"}},
     {{{"--to", "--to-server"}, "--to /tmp/restored"}}},
    {"list", {{"--json"}, {"-q"}}, {{"CONFIG", true, true, "app.env"}}, {}},
};

// "MESSAGE / HINT"; empty when nothing is wrong.
std::string complaint(const Words& words) {
  try {
    require_known(find_command(words, kCommands));
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
    return error.message() + " / " + error.hint();
  }
}

TEST(Line, AMistypedCommandIsNamedWithTheLineThatWasMeant) {
  EXPECT_EQ(complaint({"bakup", "my app.env", "-q"}),
            "there is no command bakup / did you mean: litepull backup 'my app.env' -q");
  EXPECT_EQ(complaint({"-q", "lst", "a"}), "there is no command lst / did you mean: litepull list -q a");
  EXPECT_EQ(complaint({"frobnicate"}), "there is no command frobnicate / litepull help lists the commands");
  EXPECT_EQ(complaint({"--bogus"}), "no command was named beside --bogus / litepull help lists the commands");
}

TEST(Line, AMistypedOptionIsNamedWithTheLineThatWasMeant) {
  EXPECT_EQ(complaint({"backup", "a", "--lable", "x y"}),
            "litepull backup has no option --lable / type: litepull backup a --label 'x y'");
  EXPECT_EQ(complaint({"backup", "a", "--lable=x"}),
            "litepull backup has no option --lable / type: litepull backup a --label=x");
  EXPECT_EQ(complaint({"backup", "a", "--frob"}),
            "litepull backup has no option --frob / litepull help backup shows its options");
}

TEST(Line, EverythingThatIsWrongIsSaidAtOnce) {
  EXPECT_EQ(
      complaint({"restore", "a", "latest", "--target", "/x"}),
      "litepull restore has no option --target; one of --to, --to-server is missing / litepull help restore "
      "shows its options");
  EXPECT_EQ(
      complaint({"restore", "a", "-q"}),
      "SNAPSHOT is missing; one of --to, --to-server is missing / type: litepull restore a -q latest --to "
      "/tmp/restored");
}

// The only configuration may be left out.
TEST(Line, AConfigurationIsNotCalledMissingBesideAnUnknownOption) {
  EXPECT_EQ(complaint({"backup", "--frob"}),
            "litepull backup has no option --frob / litepull help backup shows its options");
}

TEST(Line, TwoOptionsThatExcludeEachOtherAreNamed) {
  EXPECT_EQ(complaint({"restore", "a", "b", "--to", "x", "--to-server"}),
            "--to and --to-server exclude each other / give one of them");
}

TEST(Line, OptionsMayComeBeforeTheCommand) {
  const Line line = find_command({"--label", "list", "-q", "backup", "a"}, kCommands);
  EXPECT_EQ(line.command->name, "backup");
  EXPECT_EQ(line.words, (Words{"--label", "list", "-q", "a"}));
  EXPECT_EQ(complaint({"-j4", "backup", "a"}), "");
}

TEST(Line, TheFirstWordThatIsACommandIsTheOneWhenNoValueStandsBeforeIt) {
  EXPECT_EQ(find_command({"-q", "list", "backup"}, kCommands).command->name, "list");
}

TEST(Line, AMissingValueAndAWordTooManyAreNamed) {
  EXPECT_EQ(complaint({"backup", "a", "--label"}),
            "the value of --label is missing / litepull help backup shows what it takes");
  EXPECT_EQ(complaint({"restore", "a", "b", "c", "--to", "x"}),
            "litepull restore takes nothing more than b, and c follows / litepull help restore shows what it "
            "takes");
}

TEST(Line, AWordForACommandThatTakesNoneIsNamed) {
  const std::vector<KnownCommand> commands{{"init", {}, {}, {}}};
  EXPECT_THROW(require_known(find_command({"init", "here"}, commands)), Error);
}

TEST(Line, WhatFollowsDashesIsNoOption) {
  EXPECT_EQ(complaint({"backup", "--", "--full"}), "");
}

TEST(Duration, TakesUnitsAndPlainNumbers) {
  EXPECT_EQ(parse_duration_s("90", 1), 90);
  EXPECT_EQ(parse_duration_s("90", 60), 5400);
  EXPECT_EQ(parse_duration_s("15m", 1), 900);
  EXPECT_EQ(parse_duration_s("1h30m", 1), 5400);
  EXPECT_EQ(parse_duration_s("2d", 1), 172800);
}

TEST(Duration, RefusesWhatIsNoLengthOfTime) {
  for (const char* text :
       {"", "m", "15x", "-5", "1m1h", "1h30", "1.5h", "99999999999d", "4000000000d", "5 m"})
    EXPECT_EQ(parse_duration_s(text, 1), std::nullopt) << text;
}

}  // namespace
}  // namespace litepull
