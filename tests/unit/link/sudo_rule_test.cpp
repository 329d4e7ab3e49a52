// The rule that lets a login start the agent as root. The server says the login's name, and nothing in it may
// mean more to sudo than a name.
#include "client/link/sudo_rule.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

SudoCall call_of_user(const std::string& user) {
  return sudo_call_of("litepull sudo " + user + " /usr/local/lib/litepull/agent-x\n");
}

TEST(SudoRule, IsForUsersOfADomainAndForNoWordThatSudoReadsOtherwise) {
  const std::string otherwise = call_of_user("ALL,root").user;
  EXPECT_EQ(otherwise.find_first_of(",#%=:!"), std::string::npos) << otherwise;
  for (const char* user : {"%wheel", "#0", "a=b", "a:b", "!root", "+netgroup", "a*b", "ALL"})
    EXPECT_EQ(call_of_user(user).user, otherwise) << user;
  for (const char* user : {"deploy", "deploy@corp.example.com", "CORP\\joe"})
    EXPECT_EQ(call_of_user(user).user, user);
}

TEST(SudoRule, IsOneThatSudoReads) {
  if (!test::run({"sh", "-c", "command -v visudo"}).ok()) GTEST_SKIP() << "there is no visudo here";
  test::TempDir dir;
  for (const char* user : {"deploy", "deploy@corp.example.com", "CORP\\joe"}) {
    test::write_file(dir / "rules", sudo_rule(user, "/srv/storage") + "\n");
    const auto checked = test::run({"visudo", "-c", "-f", dir / "rules"});
    EXPECT_TRUE(checked.ok()) << sudo_rule(user, "/srv/storage") << checked.out << checked.err;
  }
}

}  // namespace
}  // namespace litepull
