#include "client/cli/parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace litepull {
namespace {

// A program with one command that has an option of each kind.
class ParserTest : public ::testing::Test {
 protected:
  ParserTest() {
    Options go = parser_.command("go", "Go there", [this] { return ++runs_; });
    go.add("PLACE", place_, "Where to").required();
    go.add("--steps", steps_, "How many").range(1, 9);
    go.add("--with", company_, "Who comes along").one_value_each();
    go.flag("--fast", fast_, "Run");
    go.flag("!--no-lamp", lamp_, "Go in the dark");
    Options how = go.one_of("How", "--foot");
    const Option foot = how.flag("--foot", foot_, "On foot");
    how.add("--car", car_, "By this car").check([](const std::string& car) {
      return car == "red" ? "must not be red" : "";
    });
    go.flag("--barefoot", barefoot_, "Without shoes").needs(foot);
  }

  // The command is not run: parsing only chooses it.
  Parser::Result parse(std::vector<const char*> words) {
    words.insert(words.begin(), "program");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Parser::Result result = parser_.parse(static_cast<int>(words.size()), words.data());
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return result;
  }

  Parser parser_{"program", "Tests", "program 1.2"};
  std::string place_, car_, out_, err_;
  std::vector<std::string> company_;
  int steps_ = 3, runs_ = 0;
  bool fast_ = false, lamp_ = true, foot_ = false, barefoot_ = false;
};

TEST_F(ParserTest, ChoosesTheCommandThatWasNamedAndFillsItsOptions) {
  const Parser::Result result =
      parse({"go", "home", "--with", "ann", "--with=bob", "--no-lamp", "--foot", "--steps", "5"});
  EXPECT_EQ(result.problem, "");
  ASSERT_TRUE(result.run);
  EXPECT_EQ(runs_, 0);
  EXPECT_EQ(result.run(), 1);
  EXPECT_EQ(place_, "home");
  EXPECT_EQ(company_, (std::vector<std::string>{"ann", "bob"}));
  EXPECT_EQ(steps_, 5);
  EXPECT_TRUE(foot_);
  EXPECT_FALSE(lamp_);
  EXPECT_FALSE(fast_);
}

TEST_F(ParserTest, AnOptionThatIsNotGivenKeepsItsValue) {
  ASSERT_TRUE(parse({"go", "home", "--foot"}).run);
  EXPECT_EQ(steps_, 3);
  EXPECT_TRUE(lamp_);
}

TEST_F(ParserTest, AWrongLineIsExplainedAndRunsNothing) {
  const std::vector<std::vector<const char*>> wrong{
      {},
      {"stay"},
      {"go"},
      {"go", "--foot"},
      {"go", "home"},
      {"go", "home", "--foot", "--car", "blue"},
      {"go", "home", "--car", "red"},
      {"go", "home", "--car", "blue", "--barefoot"},
      {"go", "home", "--foot", "--steps", "10"},
      {"go", "home", "--foot", "--steps", "many"},
      {"go", "home", "--foot", "--nonsense"},
      {"go", "home", "away", "--foot"},
  };
  for (const auto& words : wrong) {
    const Parser::Result result = parse(words);
    EXPECT_FALSE(result.run) << ::testing::PrintToString(words);
    EXPECT_NE(result.problem, "") << ::testing::PrintToString(words);
    EXPECT_NE(err_, "") << ::testing::PrintToString(words);
    EXPECT_EQ(out_, "") << ::testing::PrintToString(words);
  }
}

TEST_F(ParserTest, HelpAndVersionArePrintedAndAreNoProblem) {
  for (const std::vector<const char*>& words :
       {std::vector<const char*>{"--help"}, {"--version"}, {"go", "--help"}}) {
    const Parser::Result result = parse(words);
    EXPECT_FALSE(result.run);
    EXPECT_EQ(result.problem, "");
    EXPECT_NE(out_, "");
    EXPECT_EQ(err_, "");
  }
}

}  // namespace
}  // namespace litepull
