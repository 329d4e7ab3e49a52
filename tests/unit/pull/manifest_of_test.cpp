#include "client/pull/manifest_of.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace litepull {
namespace {

Manifest with(const std::vector<std::string>& names) {
  Manifest manifest;
  manifest.snapshot = "2026-11-22T020000+0100";
  for (const std::string& name : names) {
    Manifest::Database database;
    database.name = name;
    database.verified = Verified::kOk;
    manifest.databases.push_back(database);
  }
  return manifest;
}

std::vector<std::string> missing_of(const Manifest& manifest) {
  std::vector<std::string> names;
  for (const Manifest::Database& database : manifest.databases)
    if (database.error) names.push_back(database.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(ManifestOfTest, ADatabaseThatTheLastGoodSnapshotHasMustNotVanishInSilence) {
  const Manifest earlier = with({"a.sqlite3", "b.sqlite3"});
  Manifest now = with({"a.sqlite3"});
  add_missing(now, Config{}, &earlier);
  EXPECT_EQ(missing_of(now), Names{"b.sqlite3"});
  EXPECT_EQ(verified_together(now.databases), Verified::kFailed);
}

TEST(ManifestOfTest, WhatIsExcludedOrNoLongerNamedMayGo) {
  const Manifest earlier = with({"a.sqlite3", "b.sqlite3", "old/c.sqlite3"});
  Config config;
  config.exclude = {"b.*"};
  Manifest now = with({"a.sqlite3"});
  add_missing(now, config, &earlier);
  EXPECT_EQ(missing_of(now), Names{});
}

TEST(ManifestOfTest, ADatabaseNamedWithoutAWildcardMustBeThere) {
  Config config;
  config.databases = {"a.sqlite3", "production.sqlite3", "*.db"};
  Manifest now = with({"a.sqlite3"});
  add_missing(now, config, nullptr);
  EXPECT_EQ(missing_of(now), Names{"production.sqlite3"});
}

TEST(ManifestOfTest, ADatabaseThatFailedIsNamedOnce) {
  const Manifest earlier = with({"a.sqlite3"});
  Manifest now = with({"a.sqlite3"});
  now.databases[0].error = Manifest::Failure{"corrupt", "it is damaged", ""};
  Config config;
  config.databases = {"a.sqlite3"};
  add_missing(now, config, &earlier);
  EXPECT_EQ(now.databases.size(), 1U);
}

TEST(ManifestOfTest, ThePullsFactsAreInTheManifest) {
  Pull pull;
  pull.set.consistency = Consistency::kPinned;
  pull.set.skew_us = 1500;
  pull.set.note = "a\x1B was locked";
  PulledDatabase good, bad;
  good.info.name = "z.sqlite3";
  good.info.page_size = 4096;
  good.info.page_count = 3;
  good.info.journal_mode = JournalMode::kWal;
  good.end.pages_sent = 3;
  bad.info.name = "a\x1B.sqlite3";
  bad.problem = Problem{ErrorKind::kCorrupt, "it is\ndamaged", "restore it"};
  pull.databases = {good, bad};
  const Manifest manifest = manifest_of(Config{}, pull);
  EXPECT_EQ(manifest.set_consistency, "pinned");
  EXPECT_DOUBLE_EQ(manifest.skew_ms, 1.5);
  EXPECT_EQ(manifest.set_note, "a\\x1B was locked");
  ASSERT_EQ(manifest.databases.size(), 2U);
  EXPECT_EQ(manifest.databases[0].name, "a\\x1B.sqlite3");
  EXPECT_EQ(manifest.databases[0].error->message, "it is\\x0Adamaged");
  EXPECT_EQ(manifest.databases[1].bytes, 12288U);
  EXPECT_EQ(manifest.databases[1].journal_mode, "wal");
}

}  // namespace
}  // namespace litepull
