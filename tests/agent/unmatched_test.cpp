// Databases that no pattern matches are reported, and the search for them does no harm.
#include "agent/unmatched.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>
#include <sstream>

#include "agent/discover.h"
#include "common/error.h"
#include "common/glob.h"
#include "common/posix.h"
#include "common/unmatched_text.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;

class UnmatchedTest : public ::testing::Test {
 protected:
  UnmatchedTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
    database("production.sqlite3");
    request_.directory = storage_.path();
    request_.databases = {"*.sqlite3"};
  }
  ~UnmatchedTest() override { EXPECT_EQ(::chdir("/"), 0); }

  static std::string content() { return std::string("SQLite format 3\0", 16) + std::string(496, 'x'); }
  void database(const std::string& name) { test::write_file(storage_ / name, content()); }

  std::vector<std::string> patterns() {
    std::vector<std::string> all;
    found_ = find_unmatched(request_);
    for (const Unmatched::Group& group : found_.groups) all.push_back(group.pattern);
    return all;
  }

  // The patterns in the line that a person would paste.
  std::vector<std::string> pasted() {
    std::string line = databases_line(request_.databases, found_);
    EXPECT_TRUE(line.starts_with("DATABASES='") && line.ends_with("'")) << line;
    line = line.substr(11, line.size() - 12);
    EXPECT_EQ(line.find('\''), std::string::npos) << line;
    std::vector<std::string> globs;
    std::istringstream in(line);
    for (std::string glob; in >> glob;) globs.push_back(glob);
    return globs;
  }

  using Names = std::vector<std::string>;
  test::TempDir storage_;
  Request request_;
  Unmatched found_;
};

TEST_F(UnmatchedTest, NothingIsSaidWhereEveryDatabaseIsMatched) {
  test::write_file(storage_ / "production.sqlite3-wal", content());
  test::write_file(storage_ / "notes.txt", std::string(512, 'x'));
  test::write_file(storage_ / "short.db", "SQLite format 3");
  EXPECT_EQ(patterns(), Names());
  EXPECT_FALSE(found_.worth_telling());
}

TEST_F(UnmatchedTest, EachDirectoryAndEndingIsOnePatternAndTenantsAreOneTogether) {
  for (const char* name :
       {"analytics.db", "events.db", "legacy.sqlite", "plain", "production/acme/main.sqlite3",
        "production/globex/main.sqlite3", "production/globex/queue.sqlite3"})
    database(name);
  EXPECT_EQ(patterns(), (Names{"*.db", "*.sqlite", "plain", "production/*/*.sqlite3"}));
  EXPECT_EQ(count_of(found_), 7U);
  EXPECT_EQ(names_of(found_), "*.db (2), legacy.sqlite, plain, production/*/*.sqlite3 (3)");
  EXPECT_EQ(databases_line(request_.databases, found_),
            "DATABASES='*.sqlite3 *.db *.sqlite plain production/*/*.sqlite3'");
}

TEST_F(UnmatchedTest, OnceTheLineIsPastedAllOfThemAreFound) {
  const Names names{
      "a b/c's.db",     "it[1].db2", "w*?.x",       "tab\there.y", "back\\slash.z", "\xC3\xA9t\xC3\xA9.db3",
      "\xFF\xFE.db4",   "no ending", "t/1/db/a.sq", "t/2/db/a.sq", "t/3/db/b.sq",   "$HOME;`id`.q",
      "\xE2\x80\xAE.r", "#hash",     "\"q\".s"};
  for (const std::string& name : names) database(name);
  patterns();
  const std::vector<std::string> globs = pasted();
  for (const std::string& name : names) EXPECT_TRUE(glob_matches_any(globs, name)) << printable(name);
  request_.databases = globs;
  EXPECT_EQ(patterns(), Names());
}

TEST_F(UnmatchedTest, APatternBringsNothingAlongThatIsNoDatabase) {
  database("a.db");
  database("b.db");
  test::write_file(storage_ / "thumbs.db", "no database");
  EXPECT_EQ(patterns(), (Names{"a.db", "b.db"}));
}

TEST_F(UnmatchedTest, WhatIsExcludedIsNotNamed) {
  for (const char* name : {"cache.db", "old/a.db", "old/b/c.db"}) database(name);
  request_.exclude = {"cache.db", "old/**"};
  EXPECT_EQ(patterns(), Names());
}

TEST_F(UnmatchedTest, UploadsOfActiveStorageAreNotNamedWhateverTheyAre) {
  for (const char* name : {"ab/cd/abcdxyz", "files/Zz/09/Zz09key", "files/Zz/09/more/key"}) database(name);
  EXPECT_EQ(patterns(), Names());
  database("us/main.db");
  EXPECT_EQ(patterns(), (Names{"us/*.db"})) << "a tenant with a short name";
}

TEST_F(UnmatchedTest, SnapshotsOfOursAreNotNamed) {
  for (const char* name : {"backups/2026-05-23T020000-0600/a.db", "x/.partial-1/a.db", "y/z/a.db"})
    database(name);
  test::write_file(storage_ / "backups/2026-05-23T020000-0600/manifest.json", "{}");
  EXPECT_EQ(patterns(), (Names{"y/z/*.db"}));
}

// Opening a FIFO would wait for a writer for ever, and a link may lead anywhere.
TEST_F(UnmatchedTest, NoLinkIsFollowedAndNothingButFilesIsOpened) {
  test::TempDir elsewhere;
  test::write_file(elsewhere / "a.db", content());
  fs::create_symlink(elsewhere / "a.db", storage_ / "a.db");
  fs::create_directory_symlink(elsewhere.path(), storage_ / "linked");
  ASSERT_EQ(::mkfifo((storage_ / "pipe.db").c_str(), 0600), 0);
  EXPECT_EQ(patterns(), Names());
}

TEST_F(UnmatchedTest, ReadingLeavesTheTimeOfTheLastAccess) {
  database("a.db");
  const timespec old[2] = {{1'000'000'000, 0}, {1'500'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (storage_ / "a.db").c_str(), old, 0), 0);
  EXPECT_EQ(patterns(), (Names{"*.db"}));
  struct stat status {};
  ASSERT_EQ(::stat((storage_ / "a.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_atim.tv_sec, old[0].tv_sec);
}

TEST_F(UnmatchedTest, ABoundThatWasMetIsSaid) {
  std::string deep = "d";
  for (int i = 0; i < 9; ++i) deep += "/d" + std::to_string(i) + "eep";
  database(deep + "/a.db");
  EXPECT_EQ(patterns(), Names());
  EXPECT_TRUE(found_.worth_telling());
  EXPECT_NE(found_.end.find("levels"), std::string::npos) << found_.end;
}

TEST_F(UnmatchedTest, OnlySoManyPatternsAreNamedAndTheRestIsCounted) {
  for (int i = 0; i < 30; ++i) database("x." + std::to_string(i));
  EXPECT_EQ(patterns().size(), kMaxUnmatched);
  EXPECT_EQ(count_of(found_), 30U);
  EXPECT_NE(unmatched_text(found_).find("and 10 more"), std::string::npos);
}

TEST_F(UnmatchedTest, WhereNothingMatchesTheErrorNamesWhatIsThere) {
  database("data/app.db");
  request_.databases = {"*.sq"};
  try {
    discover(request_);
    FAIL() << "nothing matches";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration);
    EXPECT_NE(error.message().find("production.sqlite3"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("data/app.db"), std::string::npos) << error.message();
    EXPECT_EQ(error.hint(), "set DATABASES='*.sqlite3 data/*.db'");
  }
}

// Keys are random, so in the full form hardly two uploads share a directory.
TEST_F(UnmatchedTest, ATreeOfUploadsIsPassedOverInNoTime) {
  const bool full = std::getenv("LITEPULL_LONG") != nullptr;
  const int files = full ? 1'000'000 : 50'000;
  std::mt19937 random(1);
  const auto two = [&](int digits) {
    constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    return std::string{kDigits[random() % 36], kDigits[random() % static_cast<unsigned>(digits)]};
  };
  std::set<std::string> made;
  test::write_file(storage_ / "upload", "content");
  for (int i = 0; i < files; ++i) {
    const std::string first = two(full ? 36 : 4), second = two(full ? 36 : 1), leaf = first + "/" + second;
    if (made.insert(leaf).second) fs::create_directories(storage_ / leaf);
    const std::string name = storage_ / (leaf + "/" + first + second + std::to_string(i));
    // A file has 65,000 names at most on ext4.
    const bool linked = !full && ::link((storage_ / "upload").c_str(), name.c_str()) == 0;
    ASSERT_TRUE(linked || ::mknod(name.c_str(), S_IFREG | 0600, 0) == 0);
  }
  database("tenants/a/main.db");
  const std::uint64_t started_us = monotonic_us();
  EXPECT_EQ(patterns(), (Names{"tenants/a/*.db"}));
  const std::uint64_t took_us = monotonic_us() - started_us;
  std::printf("  %d files: looked around in %.0f ms\n", files, static_cast<double>(took_us) / 1e3);
  EXPECT_LT(took_us, 3'000'000U) << "it ends by itself after 2 s";
  EXPECT_TRUE(full || found_.end.empty()) << found_.end;
}

}  // namespace
}  // namespace litepull
