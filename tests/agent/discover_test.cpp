// Which directories of a volume are entered, and what is told about those that hide their content.
#include "agent/discover.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;

class DiscoverTest : public ::testing::Test {
 protected:
  DiscoverTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
    file("production.sqlite3");
    file("tenants/a.sqlite3");
    request_.directory = storage_.path();
  }
  ~DiscoverTest() override { EXPECT_EQ(::chdir("/"), 0); }

  void file(const std::string& name) { test::write_file(storage_ / name, "content"); }

  // The names that were found. One with a problem has an exclamation mark.
  std::vector<std::string> found(const std::vector<std::string>& databases,
                                 const std::vector<std::string>& exclude = {}) {
    request_.databases = databases;
    request_.exclude = exclude;
    notices_.clear();
    std::vector<std::string> names;
    for (const Candidate& candidate : discover(request_, notices_))
      names.push_back(candidate.name + (candidate.problem ? "!" : ""));
    return names;
  }

  // While this lives, the process may not read what is root's.
  class AsNobody {
   public:
    explicit AsNobody(const std::string& storage) : root_(::geteuid() == 0) {
      if (!root_) return;
      fs::permissions(storage, fs::perms::all);
      if (::seteuid(65534) != 0) throw std::runtime_error("seteuid");
    }
    ~AsNobody() { EXPECT_TRUE(!root_ || ::seteuid(0) == 0); }

   private:
    const bool root_;
  };

  void make_unreadable(const std::string& name) {
    fs::create_directories(storage_ / name);
    fs::permissions(storage_ / name, ::geteuid() == 0 ? fs::perms::owner_all : fs::perms::none);
  }

  using Names = std::vector<std::string>;
  const Names both_{"production.sqlite3", "tenants/a.sqlite3"};
  const Names patterns_{"*.sqlite3", "tenants/*.sqlite3"};
  test::TempDir storage_;
  Request request_;
  Notices notices_;
};

TEST_F(DiscoverTest, WhatNoPatternLeadsToChangesNothing) {
  fs::create_directory_symlink("/usr", storage_ / "uploads");
  std::string deep = storage_ / "cache";
  for (int i = 0; i < 40; ++i) deep += "/abcdefghijk";
  fs::create_directories(deep);
  make_unreadable("lost+found");
  fs::permissions(storage_ / "tenants", fs::perms::all);
  const AsNobody nobody(storage_.path());
  EXPECT_EQ(found(patterns_), both_);
  EXPECT_TRUE(notices_.empty());
  EXPECT_EQ(find_databases({"tenants/a.sqlite3"}).size(), 1U);
  EXPECT_EQ(databases_at_the_top().size(), 1U);
}

TEST_F(DiscoverTest, ATreeOfManyFilesThatMatchNothingIsNoObstacle) {
  for (int k = 0; k < 60; ++k) {
    fs::create_directories(storage_ / ("blobs/" + std::to_string(k)));
    for (int i = 0; i < 100; ++i) file("blobs/" + std::to_string(k) + "/" + std::to_string(i));
  }
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  EXPECT_TRUE(notices_.empty());
}

TEST_F(DiscoverTest, AnExcludedTreeIsNotEntered) {
  make_unreadable("blobs/ab");
  file("blobs/c/b.sqlite3");
  fs::permissions(storage_ / "tenants", fs::perms::all);
  fs::permissions(storage_ / "blobs", fs::perms::all);
  fs::permissions(storage_ / "blobs/c", fs::perms::all);
  const AsNobody nobody(storage_.path());
  EXPECT_EQ(found({"**/*.sqlite3"}, {"blobs/**"}), both_);
  EXPECT_TRUE(notices_.empty());
  EXPECT_EQ(found({"**/*.sqlite3"}, {"blobs/*"}).size(), 3U) << "blobs/* says nothing of blobs/c/b.sqlite3";
}

TEST_F(DiscoverTest, ADirectoryWithoutRightsIsAWordWhereAWildcardLeadsAndAProblemByName) {
  make_unreadable("lost+found");
  make_unreadable("secret");
  fs::permissions(storage_ / "tenants", fs::perms::all);
  const AsNobody nobody(storage_.path());
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  ASSERT_EQ(notices_.size(), 2U);
  EXPECT_NE((notices_[0].message + notices_[1].message).find("lost+found"), std::string::npos);
  EXPECT_NE(notices_[0].hint.find("/**"), std::string::npos) << "what to exclude";
  EXPECT_EQ(found({"*.sqlite3", "secret/*.sqlite3"}), (Names{"production.sqlite3", "secret!"}));
  EXPECT_TRUE(notices_.empty());
  EXPECT_THROW(find_databases({"secret/a.sqlite3"}), Error) << "not missing: not to be seen";
}

TEST_F(DiscoverTest, ALinkToADirectoryIsNamedWhereAPatternLeads) {
  fs::create_directory_symlink("/usr", storage_ / "uploads");
  EXPECT_EQ(found({"**/*.sqlite3"}), (Names{"production.sqlite3", "tenants/a.sqlite3", "uploads!"}));
  EXPECT_EQ(found({"**/*.sqlite3"}, {"uploads"}), both_);
  EXPECT_EQ(found({"**/*.sqlite3"}, {"uploads/**"}), both_);
}

TEST_F(DiscoverTest, APathThatSqliteHasNoRoomForIsNamed) {
  std::string deep = "x";
  while (deep.size() < 490) deep += "/abcdefghijklmnopqrstuvwxyz";
  fs::create_directories(storage_ / deep);
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  EXPECT_EQ(notices_.size(), 1U);
}

TEST_F(DiscoverTest, HiddenDirectoriesPastTwentyAreCounted) {
  for (int i = 0; i < 50; ++i) make_unreadable("d" + std::to_string(i));
  fs::permissions(storage_ / "tenants", fs::perms::all);
  const AsNobody nobody(storage_.path());
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  ASSERT_EQ(notices_.size(), 21U);
  EXPECT_NE(notices_.back().message.find("30 more"), std::string::npos);
}

TEST_F(DiscoverTest, SnapshotsOfOursAreNeverTakenForDatabases) {
  const std::string snapshot = "backups/app/2026-05-23T020000-0600";
  file(snapshot + "/manifest.json");
  file(snapshot + "/production.sqlite3");
  file("backups/app/.partial-5d0c61b09e2f7a43/production.sqlite3");
  file("backups/app/.trash-2026-05-22T020000-0600-1/production.sqlite3");
  file("backups/app/.work-5d0c61b09e2f7a43/production.sqlite3");
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_NE(notices_[0].message.find(snapshot), std::string::npos);
  // The old script's snapshots have no manifest, but the app's directory has marks of its own.
  file("backups/app/2025-01-01T020000-0600/production.sqlite3");
  file("backups/app/.lock");
  file("backups/app/.last-run.json");
  EXPECT_EQ(found({"**/*.sqlite3"}), both_);
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_EQ(found({"**/*.sqlite3"}, {"backups/**"}), both_);
  EXPECT_TRUE(notices_.empty());
  EXPECT_EQ(found({snapshot + "/*.sqlite3"}), Names{"backups/app!"});
}

TEST_F(DiscoverTest, ADirectoryThatOnlyHasATimestampForANameIsAnAppsOwn) {
  file("2026-05-23T020000-0600/a.sqlite3");
  EXPECT_EQ(found({"*/a.sqlite3"}), (Names{"2026-05-23T020000-0600/a.sqlite3", "tenants/a.sqlite3"}));
}

TEST_F(DiscoverTest, AStorageDirectoryThatHoldsSnapshotsIsRefused) {
  file(".lock");
  file(".last-run.json");
  EXPECT_THROW(found({"*.sqlite3"}), Error);
}

}  // namespace
}  // namespace litepull
