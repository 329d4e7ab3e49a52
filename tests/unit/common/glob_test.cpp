#include "common/glob.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace litepull {
namespace {

struct Case {
  const char* pattern;
  const char* path;
  bool matches;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& c : cases)
    EXPECT_EQ(glob_matches(c.pattern, c.path), c.matches) << c.pattern << " against " << c.path;
}

TEST(Glob, StarAndQuestionMarkMatchWithinOneName) {
  expect_all({{"*.sqlite3", "production.sqlite3", true},
              {"*.sqlite3", "production_queue.sqlite3", true},
              {"*.sqlite3", ".sqlite3", true},
              {"*.sqlite3", ".hidden.sqlite3", true},
              {"*.sqlite3", "production.sqlite3-wal", false},
              {"*.sqlite3", "production.sqlite", false},
              {"*.SQLITE3", "production.sqlite3", false},
              {"production*", "production", true},
              {"p*n*3", "production.sqlite3", true},
              {"*a*b", "aab", true},
              {"*a*b", "aba", false},
              {"*ab*ab", "abab", true},
              {"*abc", "ababc", true},
              {"**", "name", true},
              {"a**b", "axyb", true},
              {"?.db", "a.db", true},
              {"?.db", ".db", false},
              {"?.db", "ab.db", false},
              {"a?", "a", false}});
}

TEST(Glob, NothingButASlashMatchesASlash) {
  expect_all({{"*", "a/b", false},
              {"*.sqlite3", "tenant/production.sqlite3", false},
              {"a?b", "a/b", false},
              {"a[/]b", "a/b", false},
              {"a[!x]b", "a/b", false},
              {"a[+-9]b", "a/b", false},
              {"a**b", "a/b", false},
              {"**", "a/b", false},
              {"a/b", "a/b", true},
              {"*/b", "a/b", true},
              {"*/b", "b", false},
              {"*/b", "a/a/b", false}});
}

TEST(Glob, DoubleStarStandsForZeroOrMoreDirectories) {
  expect_all({{"**/*.db", "a.db", true},
              {"**/*.db", "x/a.db", true},
              {"**/*.db", "x/y/z/a.db", true},
              {"**/*.db", "x/y/z/a.txt", false},
              {"x/**/a.db", "x/a.db", true},
              {"x/**/a.db", "x/y/z/a.db", true},
              {"x/**/a.db", "y/a.db", false},
              {"x/**/a.db", "x/y/b.db", false},
              {"**/x/**/a.db", "x/a.db", true},
              {"**/x/**/a.db", "p/x/q/a.db", true},
              {"**/x/**/a.db", "p/q/a.db", false},
              {"**/x/*/a", "x/x/x/a", true},
              {"**/**/a", "a", true},
              {"**/**/a", "p/q/a", true},
              {"x/**", "x/a", true},
              {"x/**", "x/y/a", true},
              {"x/**", "x", false},
              {"**/x", "ax", false}});
}

TEST(Glob, SetsHoldBytesAndRanges) {
  expect_all({{"[abc].db", "b.db", true},  {"[abc].db", "d.db", false},   {"[a-c].db", "b.db", true},
              {"[a-c].db", "-.db", false}, {"[!a-c].db", "d.db", true},   {"[!a-c].db", "a.db", false},
              {"[^a-c].db", "d.db", true}, {"[^a-c].db", "a.db", false},  {"[]].db", "].db", true},
              {"[!]].db", "].db", false},  {"[a-].db", "-.db", true},     {"[-a].db", "-.db", true},
              {"[c-a].db", "b.db", false}, {"[*].db", "*.db", true},      {"[*].db", "a.db", false},
              {"[a!].db", "!.db", true},   {"*[0-9].db", "t12.db", true}, {"*[0-9]", "t12.db", false},
              {"[ab][cd]", "bd", true},    {"[ab][cd]", "b", false},      {"[\x80-\xFF]", "\xE9", true},
              {"[\x80-\xFF]", "e", false}});
}

TEST(Glob, AnUnclosedBracketIsABracket) {
  expect_all({{"[ab", "[ab", true},
              {"[ab", "a", false},
              {"[", "[", true},
              {"[!", "[!", true},
              {"[]", "[]", true},
              {"[!]", "[!]", true},
              {"*[", "x[", true}});
}

TEST(Glob, ABackslashIsAByteLikeAnyOther) {
  expect_all({{"a\\*", "a\\b", true}, {"a\\*", "a*", false}, {"[\\]", "\\", true}});
}

TEST(Glob, EmptyNamesNeverMatch) {
  expect_all({{"", "", false},
              {"*", "", false},
              {"**", "", false},
              {"**/*", "", false},
              {"", "a", false},
              {"a", "", false},
              {"*/a", "/a", false},
              {"a/*", "a/", false}});
}

TEST(Glob, HostilePatternsAndNamesTakeNoTime) {
  std::string stars, directory_stars, deep;
  for (int i = 0; i < 80; ++i) stars += "*a";
  for (int i = 0; i < 60; ++i) directory_stars += "**/a/";
  for (int i = 0; i < 2000; ++i) deep += "a/";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(glob_matches(stars + "b", std::string(4000, 'a')));
  EXPECT_FALSE(glob_matches(directory_stars + "b", deep + "a"));
  EXPECT_NE(glob_reach(directory_stars + "b", deep + "a"), Reach::kNone);
  EXPECT_TRUE(glob_covers({directory_stars + "**"}, deep + "b"));
  EXPECT_FALSE(glob_matches("**/" + stars + "b", deep + std::string(200, 'a')));
  EXPECT_FALSE(glob_matches("*" + std::string(254, '['), std::string(254, '[') + "x"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST(Glob, AnyPatternOfAListMaySelect) {
  EXPECT_TRUE(glob_matches_any({"*.db", "*.sqlite3"}, "a.sqlite3"));
  EXPECT_FALSE(glob_matches_any({"*.db", "*.sqlite3"}, "a.txt"));
  EXPECT_FALSE(glob_matches_any({}, "a.txt"));
}

TEST(Glob, APatternReachesOnlyDirectoriesThatItsBeginningFits) {
  struct Reached {
    const char* pattern;
    const char* directory;
    Reach reach;
  };
  const Reached cases[] = {{"*.sqlite3", "a", Reach::kNone},
                           {"**", "a", Reach::kNone},
                           {"tenants/*.sqlite3", "tenants", Reach::kByName},
                           {"tenants/*.sqlite3", "tenants/a", Reach::kNone},
                           {"tenants/*.sqlite3", "tenant", Reach::kNone},
                           {"[t]enants/a.sqlite3", "tenants", Reach::kByName},
                           {"[tu]enants/a.sqlite3", "tenants", Reach::kByWildcard},
                           {"tenants/*/a.sqlite3", "tenants/x", Reach::kByWildcard},
                           {"tenants/*/a.sqlite3", "tenants/x/y", Reach::kNone},
                           {"tenants/**/a.sqlite3", "tenants", Reach::kByName},
                           {"tenants/**/a.sqlite3", "tenants/x/y/z", Reach::kByWildcard},
                           {"tenants/**/a.sqlite3", "uploads", Reach::kNone},
                           {"tenants/**", "tenants/x", Reach::kByWildcard},
                           {"**/a/b.sqlite3", "x/y", Reach::kByWildcard},
                           {"**/a/b.sqlite3", "x/a", Reach::kByWildcard},
                           {"a/**/b/**/c.db", "a/x/b/y", Reach::kByWildcard},
                           {"a/**/b/c.db", "b", Reach::kNone}};
  for (const Reached& each : cases)
    EXPECT_EQ(glob_reach(each.pattern, each.directory), each.reach) << each.pattern << " " << each.directory;
  EXPECT_EQ(glob_reach(std::vector<std::string>{"*.sqlite3", "*/b", "a/b"}, "a"), Reach::kByName);
  EXPECT_EQ(glob_reach(std::vector<std::string>{}, "a"), Reach::kNone);
}

TEST(Glob, ADirectoryIsCoveredOnlyWhenAllBelowItIs) {
  for (const char* pattern : {"blobs/**", "blobs/**/*", "**/*", "*/**", "b*/**/**/*"})
    EXPECT_TRUE(glob_covers({pattern}, "blobs")) << pattern;
  for (const char* pattern :
       {"blobs", "blobs/*", "blobs/**/*.db", "blobs/**/a", "**", "other/**", "blobs/a/**"})
    EXPECT_FALSE(glob_covers({pattern}, "blobs")) << pattern;
  EXPECT_TRUE(glob_covers({"x", "blobs/**"}, "blobs/ab/cd"));
  EXPECT_TRUE(glob_covers({"**/tmp/**"}, "a/b/tmp"));
}

// A directory is entered whenever something below it matches: held against the matcher itself.
TEST(Glob, NoMatchLiesBelowADirectoryThatIsNotReached) {
  const char* parts[] = {"a", "b", "ab", "*", "**", "a*", "?", "[ab]"};
  const char* names[] = {"a", "b", "ab", "c"};
  for (const char* one : parts)
    for (const char* two : parts)
      for (const char* three : parts)
        for (const char* x : names)
          for (const char* y : names)
            for (const char* z : names) {
              const std::string pattern = std::string(one) + "/" + two + "/" + three;
              const std::string directory = std::string(x) + "/" + y;
              const std::string path = directory + "/" + z;
              const bool matches = glob_matches(pattern, path);
              for (const std::string& above : {directory, std::string(x)}) {
                ASSERT_TRUE(!matches || glob_reach(pattern, above) != Reach::kNone) << pattern << " " << path;
                ASSERT_TRUE(matches || !glob_covers({pattern}, above)) << pattern << " " << path;
              }
            }
}

TEST(Glob, APatternForANameMatchesItAndNothingElse) {
  for (const std::string name : {"a.sqlite3", "tenants/[a]*?.sqlite3", "[", "*", "a]b"}) {
    EXPECT_TRUE(glob_matches(glob_for(name), name)) << name;
    EXPECT_FALSE(glob_matches(glob_for(name), name + "x")) << name;
  }
  EXPECT_FALSE(glob_matches(glob_for("*"), "a"));
  EXPECT_FALSE(glob_matches(glob_for("[a]"), "a"));
  EXPECT_FALSE(glob_matches(glob_for("a?"), "ab"));
}

}  // namespace
}  // namespace litepull
