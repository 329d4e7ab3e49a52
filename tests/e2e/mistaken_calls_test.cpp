// Mistaken calls, as a person types them: each is answered with what is wrong and with a line to type. That
// line is then typed, and works.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

struct Call {
  std::string line;  // what follows "litepull ", as a shell reads it
  std::string said;  // a part of the answer
};

// In a project "My Apps" with one configuration, billing.
const std::vector<Call> kCalls{
    {"bakup", "no command bakup"},
    {"backupp billing", "no command backupp"},
    {"Backup billing", "no command Backup"},
    {"lst", "no command lst"},
    {"lisst billing", "no command lisst"},
    {"stauts", "no command stauts"},
    {"statu billing", "no command statu"},
    {"chekc", "no command chekc"},
    {"chek billing", "no command chek"},
    {"veriffy billing", "no command veriffy"},
    {"verfy all", "no command verfy"},
    {"dif latest live", "no command dif"},
    {"diff1 billing 1 1", "no command diff1"},
    {"pinn latest", "no command pinn"},
    {"unpn latest", "no command unpn"},
    {"cleenup", "no command cleenup"},
    {"clean-up billing", "no command clean-up"},
    {"restroe latest --to out1", "no command restroe"},
    {"restor billing latest --to out2", "no command restor"},
    {"--all lst", "no command lst"},
    {"snapshots", "no command snapshots"},
    {"run billing", "no command run"},
    {"help bakup", "no command bakup"},
    {"help restor", "no command restor"},
    {"help frobnicate", "no command frobnicate"},
    {"--nonsense", "no command was named"},
    {"-q", "no command was named"},
    {"backup --lable x", "no option --lable"},
    {"backup --lable='a b'", "no option --lable"},
    {"backup billing --ful", "no option --ful"},
    {"backup --quite", "no option --quite"},
    {"backup --jsn", "no option --jsn"},
    {"backup --dedline 5m", "no option --dedline"},
    {"backup --verfy=full", "no option --verfy"},
    {"backup --frobnicate", "no option --frobnicate"},
    {"backup -x", "no option -x"},
    {"list --jsno", "no option --jsno"},
    {"list billing --limit 3", "no option --limit"},
    {"verify --quik", "no option --quik"},
    {"verify billing all --quikc", "no option --quikc"},
    {"cleanup --dryrun", "no option --dryrun"},
    {"cleanup --dry-rn", "no option --dry-rn"},
    {"status --jsom", "no option --jsom"},
    {"status --al", "no option --al"},
    {"check --jso", "no option --jso"},
    {"restore latest --target x", "no option --target"},
    {"restore latest --dir x", "no option --dir"},
    {"diff latest live --row 3", "no option --row"},
    {"restore", "SNAPSHOT is missing"},
    {"restore billing", "SNAPSHOT is missing"},
    {"restore latest", "one of --to, --to-server is missing"},
    {"restore latest --to a --to-server", "exclude each other"},
    {"pin", "SNAPSHOT is missing"},
    {"unpin billing", "SNAPSHOT is missing"},
    {"diff", "A is missing; B is missing"},
    {"diff billing latest", "B is missing"},
    {"diff billing latest live more", "takes nothing more than live"},
    {"backup --label", "value of --label is missing"},
    {"backup --label latest", "means a snapshot already"},
    {"backup --label 7", "means a snapshot already"},
    {"backup --deadline 15x", "must be a time"},
    {"backup -j many", "many"},
    {"backup --verify=sometimes", "must be"},
    {"list --all billing", "exclude each other"},
};

// The line that an answer says to type; empty if it says none.
std::string line_to_type(const std::string& answer) {
  static const std::regex kLine("(litepull [^\n;]*?)(?: lists| shows|\n|$)");
  const std::size_t hint = answer.rfind("\n  ");
  std::smatch found;
  const std::string text = hint == answer.npos ? "" : answer.substr(hint);
  return std::regex_search(text, found, kLine) ? found[1].str() : "";
}

class MistakenCalls : public testing::Test {
 protected:
  MistakenCalls() {
    SQLite::Database(app_.in_storage("main.sqlite3"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("CREATE TABLE t(a)");
    fs::create_directories(project_ + "/config/projects");
    fs::copy_file(app_.config_path(), project_ + "/config/projects/billing.env");
    EXPECT_EQ(type("litepull backup --quiet --label 'pre-deploy abc'").status.code, 0);
  }

  ProcessResult type(const std::string& line) {
    const std::string directory = fs::path(built_program("litepull")).parent_path().string();
    return run(
        {"sh", "-c", "cd \"$1\" && PATH=\"$2:$PATH\" && eval \"$3\"", "sh", project_, directory, line});
  }

  PullFixture app_{Over::kLocal};
  const std::string project_ = app_.scratch("My Apps");
};

TEST_F(MistakenCalls, AreAnsweredWithALineThatWorksAsTyped) {
  EXPECT_GE(kCalls.size(), 60U);
  int restored = 0;
  for (const Call& call : kCalls) {
    const ProcessResult wrong = type("litepull " + call.line);
    EXPECT_EQ(wrong.status.code, 2) << call.line << "\n" << wrong.err;
    EXPECT_NE(wrong.err.find(call.said), std::string::npos) << call.line << "\n" << wrong.err;
    EXPECT_EQ(wrong.out, "") << call.line;
    std::string answer = line_to_type(wrong.err);
    if (const std::size_t at = answer.find("/tmp/restored"); at != answer.npos)
      answer.replace(at, 13, app_.scratch("restored" + std::to_string(++restored)));
    if (call.said == "exclude each other") continue;  // which of both is for the user to choose
    ASSERT_NE(answer, "") << call.line << "\n" << wrong.err;
    const ProcessResult right = type(answer);
    EXPECT_EQ(right.status.code, 0) << call.line << "\n" << answer << "\n" << right.err;
  }
}

TEST_F(MistakenCalls, ANameMeansTheConfigurationHereAndAbove) {
  fs::create_directories(project_ + "/app/models");
  for (const char* line : {"litepull list billing", "litepull list", "cd app/models && litepull list billing",
                           "cd app/models && litepull list", "litepull list config/projects/billing.env",
                           "litepull list --all", "litepull list billing.env"}) {
    const ProcessResult listed = type(line);
    EXPECT_EQ(listed.status.code, 0) << line << listed.err;
    EXPECT_NE(listed.out.find("pre-deploy abc"), std::string::npos) << line << listed.out;
  }
  EXPECT_NE(type("litepull list").err.find("config/projects/billing.env"), std::string::npos);
  EXPECT_EQ(type("litepull list billing").err, "");
}

TEST_F(MistakenCalls, SeveralConfigurationsAreListedAndAFileComesBeforeAName) {
  fs::copy_file(app_.config_path(), project_ + "/config/projects/shop.env");
  const ProcessResult which = type("litepull backup");
  EXPECT_EQ(which.status.code, 2);
  EXPECT_NE(which.err.find("billing, shop"), std::string::npos) << which.err;
  EXPECT_NE(type("litepull list biling").err.find("did you mean: billing"), std::string::npos);
  write_file(project_ + "/billing", "APP_NAME=../bad\n");
  EXPECT_EQ(type("litepull list billing").status.code, 2);
}

TEST_F(MistakenCalls, AProjectsDirectoryThatOthersCanWriteToIsNotFoundByName) {
  fs::permissions(project_ + "/config/projects", fs::perms::all);
  EXPECT_EQ(type("litepull list").status.code, 2);
}

TEST_F(MistakenCalls, ADatabaseIsRestoredByItsNameWithoutTheEnding) {
  EXPECT_EQ(type("litepull restore pre-deploy --to out --database main").status.code, 0);
  EXPECT_TRUE(fs::exists(project_ + "/out/main.sqlite3"));
}

}  // namespace
}  // namespace litepull::test
