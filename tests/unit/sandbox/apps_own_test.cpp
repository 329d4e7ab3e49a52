// Schemas that need what only the app has. What can be checked is checked. What cannot is named and never
// called damaged.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "client/sandbox/check_file.h"
#include "client/sandbox/unjudged.h"
#include "client/verify/verify.h"
#include "client/verify/verify_snapshot.h"
#include "tests/support/app_schemas.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::app_schemas;
using test::AppSchema;
using Lines = std::vector<std::string>;

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

class AppsOwn : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override { test::make_app_database(path_, schema()); }

  const AppSchema& schema() const { return app_schemas()[GetParam()]; }
  FileCheck check(CheckDepth depth = CheckDepth::kFull) const { return check_file(path_, depth); }

  // Damages one page in a copy and expects that it is found.
  void expect_damage_found(const std::string& name) const {
    for (const unsigned page : test::pages_of(path_, name)) {
      const std::string copy = dir_ / "copy.sqlite3";
      fs::copy_file(path_, copy, fs::copy_options::overwrite_existing);
      test::flip_bit_in_page(copy, page);
      for (const CheckDepth depth : {CheckDepth::kFull, CheckDepth::kQuick}) {
        const FileCheck found = check_file(copy, depth);
        EXPECT_FALSE(found.ok) << name << " page " << page;
        EXPECT_FALSE(found.problems.empty() || only_not_checked(found.problems)) << name << " page " << page;
      }
    }
  }

  const test::TempDir dir_;
  const std::string path_ = dir_ / "app.sqlite3";
};

TEST_P(AppsOwn, SchemaIsSoundAsFarAsItCanBeCheckedAndTheRestIsNamed) {
  for (const CheckDepth depth : {CheckDepth::kFull, CheckDepth::kQuick}) {
    const FileCheck found = check(depth);
    EXPECT_TRUE(found.ok);
    EXPECT_EQ(found.problems, Lines{});
    EXPECT_EQ(sorted(found.unchecked), sorted(schema().unchecked));
    EXPECT_EQ(found.foreign_keys_unchecked, schema().foreign_keys_unchecked);
    EXPECT_EQ(found.foreign_key_violations, 0);
    SQLite::Database database(path_, SQLite::OPEN_READONLY);
    database.exec("PRAGMA writable_schema=ON");  // else some schemas cannot be loaded
    const auto tables = database.execAndGet(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
    EXPECT_EQ(found.tables.size(), static_cast<std::size_t>(tables.getInt()));
    const auto is_plain = [](const auto& table) {
      return table.name == "plain" && table.rows == test::kPlainRows;
    };
    EXPECT_TRUE(std::any_of(found.tables.begin(), found.tables.end(), is_plain));
  }
}

TEST_P(AppsOwn, SchemaHidesNoDamageInATableThatCanBeChecked) {
  expect_damage_found("plain");
  expect_damage_found("plain_x");
  expect_damage_found("free");
}

TEST_P(AppsOwn, SchemaHidesNoDamageToTheStructureOfWhatCannotBeJudged) {
  for (const char* name : {"names", "i", "sqlite_autoindex_names_1", "docs_data", "docs_content"})
    expect_damage_found(name);
}

// The index no longer has what the table has. Only a look into the index finds that.
TEST_P(AppsOwn, SchemaHidesNoWrongEntryOfAnIndexThatCanBeChecked) {
  constexpr std::size_t kPageBytes = 1024;
  std::string content = test::read_file(path_);
  const std::size_t page = test::pages_of(path_, "plain_x").back();
  std::size_t at = (page - 1) * kPageBytes;
  const bool utf16 = schema().pragmas.find("UTF-16") != std::string::npos;
  const std::string found_there = utf16 ? std::string("r\0o\0w\0", 6) : "row ";
  while ((at = content.find(found_there, at)) < page * kPageBytes) content[at] = 's';
  test::write_file(path_, content);
  const FileCheck found = check();
  EXPECT_FALSE(found.ok);
  ASSERT_FALSE(found.problems.empty());
  EXPECT_NE(found.problems.front().find("plain_x"), std::string::npos) << found.problems.front();
}

INSTANTIATE_TEST_SUITE_P(Every, AppsOwn, testing::Range(std::size_t{0}, app_schemas().size()),
                         [](const auto& which) {
                           std::string name = app_schemas()[which.param].name;
                           std::replace_if(
                               name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; },
                               '_');
                           return name;
                         });

TEST(AppsOwnSchemas, AreFortyOrMore) {
  EXPECT_GE(app_schemas().size(), 40U);
}

TEST(AppsOwnSchemas, AreToldTheSameByAChild) {
  const test::TempDir dir;
  const auto& all = app_schemas();
  const AppSchema& schema = *std::find_if(all.begin(), all.end(),
                                          [](const auto& each) { return each.name == "everything at once"; });
  test::make_app_database(dir / "a.sqlite3", schema);
  const FileCheck check =
      check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, fs::file_size(dir / "a.sqlite3"), {});
  EXPECT_TRUE(check.ok);
  EXPECT_EQ(sorted(check.unchecked), sorted(schema.unchecked));
}

// There are a thousand times as many lines as a check may report, all about an index that only the app can
// judge.
TEST(AppsOwnSchemas, WithManyRowsHideNothing) {
  const test::TempDir dir;
  AppSchema schema = app_schemas().front();
  schema.sql +=
      "INSERT INTO names(name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
      "20000) SELECT "
      "hex(i * 7919 % 100003) FROM n";
  test::make_app_database(dir / "a.sqlite3", schema);
  EXPECT_TRUE(check_file(dir / "a.sqlite3", CheckDepth::kFull).ok);
  {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE);
    database.exec(
        "PRAGMA writable_schema=ON; CREATE TABLE zz(x INT, y INT); INSERT INTO zz VALUES(1, NULL);"
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE zz(x INT, y INT NOT NULL)' WHERE name = 'zz'");
  }
  EXPECT_EQ(check_file(dir / "a.sqlite3", CheckDepth::kFull).problems, Lines{"NULL value in zz.y"});
}

TEST(AppsOwnSchemas, InLargeNumbersAreNamedUpToAHundred) {
  const test::TempDir dir;
  AppSchema schema{"", "CREATE TABLE names(name TEXT COLLATE LOCALIZED);"};
  for (int i = 0; i < 150; ++i) schema.sql += "CREATE INDEX i" + std::to_string(i) + " ON names(name);";
  test::make_app_database(dir / "a.sqlite3", schema);
  const FileCheck check = check_file(dir / "a.sqlite3", CheckDepth::kFull);
  EXPECT_TRUE(check.ok);
  EXPECT_EQ(check.unchecked.size(), 100U);
  EXPECT_EQ(check.unchecked.back(), "more parts than are named here");
}

// --- in a snapshot ---------------------------------------------------------------------------------------

SnapshotReport report_with(const Lines& unchecked) {
  SnapshotReport report;
  DatabaseReport& one = report.databases.emplace_back();
  one.name = "a.sqlite3";
  one.unchecked = unchecked;
  one.foreign_keys_unchecked = {"table \"kids\": foreign key mismatch"};
  one.tables = {{"names", 3}};
  return report;
}

// A manifest as an earlier version recorded it.
Manifest failed_for_want_of(const std::string& what) {
  Manifest manifest;
  manifest.verify = "full";
  manifest.verified = Verified::kFailed;
  Manifest::Database& database = manifest.databases.emplace_back();
  database.name = "a.sqlite3";
  database.verified = Verified::kFailed;
  database.problems = {kNotChecked + what};
  return manifest;
}

TEST(AppsOwnSnapshot, OfAnEarlierVersionThatFailedHasTheNewVerdictAfterAnotherCheck) {
  Manifest manifest = failed_for_want_of("no such collation sequence: LOCALIZED");
  EXPECT_TRUE(failed_unchecked(manifest));
  ASSERT_TRUE(apply_report(report_with({"index \"i\""}), CheckDepth::kFull, 1000, manifest));
  EXPECT_EQ(manifest.verified, Verified::kOk);
  EXPECT_EQ(manifest.databases[0].problems, Lines{});
  EXPECT_EQ(manifest.databases[0].unchecked, Lines{"index \"i\""});
  EXPECT_EQ(manifest.databases[0].foreign_keys_unchecked, Lines{"table \"kids\": foreign key mismatch"});
  EXPECT_EQ(manifest.databases[0].tables.size(), 1U);
}

TEST(AppsOwnSnapshot, ThatCanBeCheckedNowIsSoundWithoutReserve) {
  Manifest manifest = failed_for_want_of("");
  ASSERT_TRUE(apply_report(report_with({"index \"i\""}), CheckDepth::kFull, 1000, manifest));
  ASSERT_TRUE(apply_report(report_with({}), CheckDepth::kFull, 2000, manifest));
  EXPECT_EQ(manifest.databases[0].unchecked, Lines{});
}

TEST(AppsOwnSnapshot, IsDamagedWhenItsBytesAreNotThoseOfTheServer) {
  const test::SmallSnapshot snapshot;
  Checks checks = checks_in_children(test::small_snapshot_key());
  checks.check = [](const std::string& path, CheckDepth depth, std::uint64_t, const Cancel&) {
    FileCheck check = check_file(path, depth);
    check.unchecked = {"index \"i\" of table \"names\": needs the app's own collation \"LOCALIZED\""};
    return check;
  };
  Manifest manifest = snapshot.manifest();
  Board board(stderr, false);
  Progress progress(board, "billing");
  const Fd dir = snapshot.store().open_snapshot(snapshot.name());
  const auto verify = [&] {
    return verify_snapshot(dir.get(), snapshot.path(), manifest, {CheckDepth::kFull, checks, {}, progress});
  };
  EXPECT_TRUE(verify().all_good());
  EXPECT_FALSE(verify().all_checked());
  manifest.databases[0].xxh128[0] = manifest.databases[0].xxh128[0] == '0' ? '1' : '0';
  EXPECT_EQ(verify().databases.at(0).state, DatabaseReport::State::kDamaged);
}

TEST(FailedUnchecked, IsNeitherDamagedNorMissing) {
  Manifest manifest = failed_for_want_of("no memory");
  EXPECT_TRUE(failed_unchecked(manifest));
  manifest.databases[0].problems.push_back("row 1 missing from index i");
  EXPECT_FALSE(failed_unchecked(manifest));
  manifest = failed_for_want_of("no memory");
  manifest.databases.emplace_back().error = Manifest::Failure{};
  EXPECT_FALSE(failed_unchecked(manifest));
  manifest.verified = Verified::kOk;
  EXPECT_FALSE(failed_unchecked(manifest));
}

}  // namespace
}  // namespace litepull
