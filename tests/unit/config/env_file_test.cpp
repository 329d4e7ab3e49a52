#include "client/config/env_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/error.h"

namespace litepull {
namespace {

const Environment kEnvironment{
    {"HOME", "/home/ada"}, {"USER", "ada"}, {"EMPTY", ""}, {"ODD", "a;b $(c) 'd'"}};

EnvFile parse(std::string_view text) {
  return parse_env(text, "app.env", kEnvironment);
}

std::string value_of(const EnvFile& env, std::string_view name) {
  for (const EnvAssignment& entry : env.assignments)
    if (entry.name == name) return entry.value;
  return "(not set)";
}

Error refusal_of(std::string_view text) {
  try {
    parse(text);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kFailed, "it was accepted");
}

struct ValueCase {
  const char* written;
  const char* value;
};

TEST(EnvFile, ValuesReadAsAShellWouldReadThem) {
  const ValueCase cases[] = {
      {"plain", "plain"},
      {"", ""},
      {"   ", ""},
      {"''", ""},
      {"\"\"", ""},
      {"trailing   ", "trailing"},
      {"value # comment", "value"},
      {"value\t# comment", "value"},
      {" # comment", ""},
      {"a#b", "a#b"},
      {"#b", "#b"},
      {"a=b", "a=b"},
      {"'one two'", "one two"},
      {"\"one two\"", "one two"},
      {"'# no comment'", "# no comment"},
      {"one\\ two", "one two"},
      {"a\\#b", "a#b"},
      {"\\$HOME", "$HOME"},
      {"\\~/x", "~/x"},
      {"*.sqlite3", "*.sqlite3"},
      {"{a,b}", "{a,b}"},
      {"a'b c'd\"e f\"g", "ab cde fg"},
      {"'it'\\''s'", "it's"},
      {"\"it's\"", "it's"},
      {"'say \"x\"'", "say \"x\""},
      {"\"a\\\"b\\\\c\\$d\\`e\"", "a\"b\\c$d`e"},
      {"\"a\\nb\"", "a\\nb"},
      {"'a\\nb'", "a\\nb"},
      {"$USER", "ada"},
      {"${USER}", "ada"},
      {"\"$USER\"", "ada"},
      {"\"x${USER}y\"", "xaday"},
      {"$USER.db", "ada.db"},
      {"'$USER'", "$USER"},
      {"[$EMPTY]", "[]"},
      {"$ODD", "a;b $(c) 'd'"},
      {"~", "/home/ada"},
      {"~/x", "/home/ada/x"},
      {"~/'x y'", "/home/ada/x y"},
      {"'~/x'", "~/x"},
      {"\"~/x\"", "~/x"},
      {"a~/x", "a~/x"},
      {"5$", "5$"},
      {"\"5$\"", "5$"},
      {"$/x", "$/x"},
      {"\"$'x'\"", "$'x'"},
      {"'$(touch x) `touch x` ; | & < > ( ) ${a:-b}'", "$(touch x) `touch x` ; | & < > ( ) ${a:-b}"},
      {"\"; | & < > ( )\"", "; | & < > ( )"},
      {"caf\xC3\xA9", "caf\xC3\xA9"},
  };
  for (const ValueCase& c : cases)
    EXPECT_EQ(value_of(parse(std::string("NAME=") + c.written), "NAME"), c.value) << c.written;
}

TEST(EnvFile, BlankLinesCommentsAndExportAreUnderstood) {
  const EnvFile env = parse("# head\n\n   # indented\n\t\nexport A=1\n  B=2\nexport\tC=3 # tail\nexport=4");
  ASSERT_EQ(env.assignments.size(), 4u);
  EXPECT_EQ(value_of(env, "A"), "1");
  EXPECT_EQ(value_of(env, "B"), "2");
  EXPECT_EQ(value_of(env, "C"), "3");
  EXPECT_EQ(value_of(env, "export"), "4");
  EXPECT_EQ(env.assignments[0].line, 5);
  EXPECT_EQ(env.assignments[2].line, 7);
  EXPECT_TRUE(env.warnings.empty());
}

TEST(EnvFile, AFileFromWindowsReadsTheSame) {
  const EnvFile env = parse(
      "\xEF\xBB\xBF"
      "A=1\r\n\r\nB='two'\r\n# c\r\nC=3\r");
  EXPECT_EQ(value_of(env, "A"), "1");
  EXPECT_EQ(value_of(env, "B"), "two");
  EXPECT_EQ(value_of(env, "C"), "3");
}

TEST(EnvFile, AnEmptyFileAssignsNothing) {
  for (const char* text : {"", "\n", "\r\n", "\xEF\xBB\xBF", "# only a comment"})
    EXPECT_TRUE(parse(text).assignments.empty());
}

TEST(EnvFile, EarlierLinesAreExpandedBeforeTheEnvironment) {
  const EnvFile env = parse("A=\"$USER\"\nUSER=grace\nB=${USER}\nHOME=/srv\nC=~/x\nD=$C/y");
  EXPECT_EQ(value_of(env, "A"), "ada");
  EXPECT_EQ(value_of(env, "B"), "grace");
  EXPECT_EQ(value_of(env, "C"), "/srv/x");
  EXPECT_EQ(value_of(env, "D"), "/srv/x/y");
}

TEST(EnvFile, ExpandedTextIsNotExpandedAgain) {
  const EnvFile env = parse("A='$USER $(touch x)'\nB=\"$A\"\nC=$A");
  EXPECT_EQ(value_of(env, "B"), "$USER $(touch x)");
  EXPECT_EQ(value_of(env, "C"), "$USER $(touch x)");
}

TEST(EnvFile, TheLastOfTwoLinesCountsAndIsReported) {
  const EnvFile env = parse("A=1\nB=2\nA=\"$A-3\"");
  ASSERT_EQ(env.assignments.size(), 2u);
  EXPECT_EQ(value_of(env, "A"), "1-3");
  EXPECT_EQ(env.assignments[0].line, 3);
  ASSERT_EQ(env.warnings.size(), 1u);
  EXPECT_EQ(env.warnings[0], "app.env:3: A was set on line 1 already; this line counts");
}

TEST(EnvFile, ItIsKnownWhichValuesBeganWithTheHomeDirectory) {
  const EnvFile env = parse("A=~/x\nB='~/x'\nC=\"$HOME/x\"");
  EXPECT_TRUE(env.assignments[0].tilde_expanded);
  EXPECT_FALSE(env.assignments[1].tilde_expanded);
  EXPECT_FALSE(env.assignments[2].tilde_expanded);
}

struct RefusalCase {
  const char* line;
  const char* says;
};

TEST(EnvFile, WhatAShellWouldExecuteIsRefusedWithFileLineAndRemedy) {
  const RefusalCase cases[] = {
      {"A=$(touch x)", "'$('"},
      {"A=\"$(touch x)\"", "'$('"},
      {"A=$((1+1))", "'$('"},
      {"A=$[1+1]", "'$['"},
      {"A=`touch x`", "backtick"},
      {"A=\"`touch x`\"", "backtick"},
      {"A=x;touch x", "';'"},
      {"A=x; touch x", "';'"},
      {"A=x&", "'&'"},
      {"A=x|y", "'|'"},
      {"A=<x", "'<'"},
      {"A=>x", "'>'"},
      {"A=<(x)", "'<'"},
      {"A=(x y)", "'('"},
      {"A=x)", "')'"},
      {"A=${B:-y}", "'${'"},
      {"A=\"${HOME%/*}\"", "'${'"},
      {"A=${}", "'${'"},
      {"A=${HOME", "'${'"},
      {"A=${$(touch x)}", "'${'"},
      {"A=$1", "'$1'"},
      {"A=\"$@\"", "'$@'"},
      {"A=$$", "'$$'"},
      {"A=$?", "'$?'"},
      {"A=$'x'", "'$''"},
      {"A=$\"x\"", "'$\"'"},
      {"A=one touch x", "more words"},
      {"A= touch x", "more words"},
      {"A=1 B=2", "more words"},
      {"A='one' two", "more words"},
      {"touch x", "not an assignment"},
      {". ./other.env", "not an assignment"},
      {"set -e", "not an assignment"},
      {"export A", "not an assignment"},
      {"A", "not an assignment"},
      {"A+=1", "not an assignment"},
      {"1A=1", "not an assignment"},
      {"A-B=1", "not an assignment"},
      {"A[0]=1", "not an assignment"},
      {"=1", "not an assignment"},
      {"'A'=1", "not an assignment"},
      {"$A=1", "not an assignment"},
      {"if true; then", "not an assignment"},
      {"A =1", "a space before '='"},
      {"A\t= 1", "a space before '='"},
      {"A='x", "single quote that is not closed"},
      {"A=\"x", "double quote that is not closed"},
      {"A=\"x\\\"", "double quote that is not closed"},
      {"A=x\\", "backslash at the end"},
      {"A=x\\\r", "backslash at the end"},
      {"A=$UNDEFINED", "$UNDEFINED is not set"},
      {"A=\"${UNDEFINED}\"", "$UNDEFINED is not set"},
      {"A=~root/x", "'~' followed by"},
      {"A=~\"/x\"", "'~' followed by"},
      {"A=~+", "'~' followed by"},
      {"A=/x:~/y", "'~' after ':'"},
      {"A=x\x1B[31m", "\\x1B"},
      {"A='x\x7F'", "\\x7F"},
      {"# \x07", "\\x07"},
      {"A=a\rb", "\\x0D"},
  };
  for (const RefusalCase& c : cases) {
    const Error error = refusal_of(std::string("FIRST=1\n\n") + c.line + "\nLAST=1\n");
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << c.line;
    EXPECT_TRUE(error.message().starts_with("app.env:3: ")) << c.line << ": " << error.message();
    EXPECT_NE(error.message().find(c.says), std::string::npos) << c.line << ": " << error.message();
    EXPECT_FALSE(error.hint().empty()) << c.line;
    EXPECT_TRUE(is_clean_utf8(error.message())) << c.line;
  }
}

TEST(EnvFile, AValueOverTwoLinesIsRefusedWhereItBegins) {
  for (const char* text : {"A='one\ntwo'", "A=\"one\ntwo\"", "A=one\\\ntwo"})
    EXPECT_TRUE(refusal_of(text).message().starts_with("app.env:1: ")) << text;
}

TEST(EnvFile, ANulByteIsRefused) {
  const Error error = refusal_of(std::string_view("A=x\0y\n", 6));
  EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
  EXPECT_NE(error.message().find("\\x00"), std::string::npos);
}

TEST(EnvFile, ATildeWithoutAHomeDirectoryIsRefused) {
  EXPECT_THROW(parse_env("A=~/x", "app.env", {}), Error);
}

TEST(EnvFile, LinesThatDoubleAValueCannotFillTheMemory) {
  std::string text = "A=0123456789abcdef\n";
  for (int i = 0; i < 100; ++i) text += "A=\"$A$A\"\n";
  const Error error = refusal_of(text);
  EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
  EXPECT_NE(error.message().find("app.env:12: a value of more than 16384 bytes"), std::string::npos)
      << error.message();
}

TEST(EnvFile, AFileOfTooManyLinesIsRefused) {
  EXPECT_NO_THROW(parse(std::string(2000, '\n')));
  EXPECT_NE(refusal_of(std::string(2001, '\n')).message().find("more than 2000 lines"), std::string::npos);
}

// Any cut of a file that has every construct parses or is refused. Nothing reads past its end.
TEST(EnvFile, AFileCutAtAnyByteIsParsedOrRefused) {
  const std::string text =
      "\xEF\xBB\xBF# c\r\nexport A='a'\"b$USER${USER}\\\"\"\\ c # d\r\nB=~/x\nC=$\nD=${A}";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::vector<char> exact(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    const Error error = refusal_of({exact.data(), exact.size()});
    EXPECT_TRUE(error.kind() == ErrorKind::kConfiguration || error.message() == "it was accepted") << size;
  }
}

class EnvFileOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "litepull-env-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/app.env";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::binary) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }

  void expect_refused(const std::string& says) {
    try {
      read_env_text(path_);
      ADD_FAILURE() << "it was read, not refused with: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
      EXPECT_TRUE(error.message().starts_with(path_ + ": ")) << error.message();
      EXPECT_NE(error.message().find(says), std::string::npos) << error.message();
      EXPECT_FALSE(error.hint().empty());
    }
  }

  std::string directory_;
  std::string path_;
};

TEST_F(EnvFileOnDisk, IsReadWholeAlsoThroughALink) {
  write(std::string("A=1\0B", 5), 0644);
  EXPECT_EQ(read_env_text(path_), std::string("A=1\0B", 5));
  const std::string link = directory_ + "/link.env";
  std::filesystem::create_symlink(path_, link);
  EXPECT_EQ(read_env_text(link).size(), 5u);
}

TEST_F(EnvFileOnDisk, UpToTheSizeCapIsReadAndOneByteMoreIsRefused) {
  write(std::string(64 * 1024, '#'));
  EXPECT_EQ(read_env_text(path_).size(), 64u * 1024);
  write(std::string(64 * 1024 + 1, '#'));
  expect_refused("larger than 65536 bytes");
}

TEST_F(EnvFileOnDisk, AMissingFileIsRefused) {
  expect_refused("No such file");
}

TEST_F(EnvFileOnDisk, ADirectoryIsRefused) {
  std::filesystem::create_directory(path_);
  expect_refused("is a directory");
}

TEST_F(EnvFileOnDisk, AFifoIsRefusedWithoutWaitingForAWriter) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  expect_refused("not a regular file");
}

TEST_F(EnvFileOnDisk, AFileThatOthersCanWriteIsRefused) {
  for (const mode_t mode : {0666, 0620, 0602}) {
    write("A=1\n", mode);
    expect_refused("can be written by other users");
  }
}

TEST_F(EnvFileOnDisk, AFileOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  write("A=1\n");
  ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
  expect_refused("belongs to another user (uid 65534)");
}

TEST_F(EnvFileOnDisk, AnUnreadableFileIsRefused) {
  write("A=1\n", 0000);
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  const bool root = ::geteuid() == 0;
  ASSERT_TRUE(!root || ::seteuid(65534) == 0);
  expect_refused("Permission denied");
  ASSERT_TRUE(!root || ::seteuid(0) == 0);
}

}  // namespace
}  // namespace litepull
