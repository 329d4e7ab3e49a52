#include "client/store/manifest_json.h"

#include <gtest/gtest.h>

#include "tests/unit/store/manifest_fixture.h"

namespace litepull {
namespace {

TEST(Manifest, ReadsBackWhatItWrote) {
  EXPECT_EQ(parse_manifest(to_json_text(example())), example());
}

TEST(Manifest, TheDocumentedExampleIsExactlyWhatIsWritten) {
  const auto path =
      std::filesystem::path(__FILE__).parent_path() / "../../../client/store/SNAPSHOT_FORMAT.md";
  const std::string document = test::read_file(path.string());
  const std::string opening = "```json\n";
  const std::size_t from = document.find(opening) + opening.size(), to = document.find("```", from);
  ASSERT_NE(to, std::string::npos);
  const std::string text = document.substr(from, to - from);
  EXPECT_EQ(to_json_text(parse_manifest(text)), text);
}

TEST(Manifest, BytesThatAreNotUtf8AreReplacedNotFatal) {
  Manifest manifest = example();
  manifest.label = "caf\xE9";
  manifest.databases[0].tables = {{"\xFF\xFE", 1}};
  manifest.databases[0].problems = {std::string("cut \xC3", 5)};
  manifest.databases[1].name = "bad\x80name";
  const Manifest read = parse_manifest(to_json_text(manifest));
  EXPECT_EQ(read.label, "caf\uFFFD");
  EXPECT_EQ(read.databases[0].problems[0], "cut \uFFFD");
  EXPECT_EQ(read.databases[1].name, "bad\uFFFDname");
  EXPECT_EQ(database_json(manifest.databases[1]).dump(), Json(database_json(read.databases[1])).dump());
}

TEST(Manifest, ControlCharactersStayInsideTheirString) {
  Manifest manifest = example();
  manifest.label = std::string("a\"\n\x1B[2J\\\0z", 10);
  EXPECT_EQ(parse_manifest(to_json_text(manifest)).label, manifest.label);
}

TEST(Manifest, FiguresThatAreNotNumbersBecomeZero) {
  Manifest manifest = example();
  manifest.skew_ms = std::nan("");
  manifest.duration_s = std::numeric_limits<double>::infinity();
  const Manifest read = parse_manifest(to_json_text(manifest));
  EXPECT_EQ(read.skew_ms, 0);
  EXPECT_EQ(read.duration_s, 0);
}

TEST(Manifest, ADatabaseWithEndlessProblemsIsCapped) {
  Manifest manifest = example();
  manifest.databases[0].problems.assign(5000, std::string(5000, 'x'));
  const Manifest read = parse_manifest(to_json_text(manifest));
  EXPECT_EQ(read.databases[0].problems.size(), 100U);
  EXPECT_EQ(read.databases[0].problems[0].size(), 1000U);
}

TEST(Manifest, OfAnEarlierVersionLeftNothingUnchecked) {
  Json json = example_json();
  for (Json& database : json["databases"])
    for (const char* field : {"unchecked", "foreign_keys_unchecked"}) database.erase(field);
  const Manifest read = parse_manifest(written(json));
  EXPECT_TRUE(read.databases[0].unchecked.empty());
  EXPECT_TRUE(read.databases[0].foreign_keys_unchecked.empty());
}

TEST(Manifest, WithoutRoomForDetailsStillSaysThatSomethingWasNotChecked) {
  Manifest manifest = example();
  manifest.databases[0].tables.assign(20'000, {std::string(5000, '\x01'), 1});
  EXPECT_EQ(parse_manifest(to_json_text(manifest)).databases[0].unchecked.size(), 1U);
  EXPECT_TRUE(parse_manifest(to_json_text(manifest)).databases[1].unchecked.empty());
}

TEST(Manifest, TooManyTablesNeverMakeAManifestThatCannotBeRead) {
  Manifest manifest = example();
  manifest.databases[0].tables.assign(20'000, {std::string(5000, '\x01'), 1});  // six bytes each in JSON
  const std::string text = to_json_text(manifest);
  EXPECT_LE(text.size(), kMaxManifestBytes);
  const Manifest read = parse_manifest(text);
  EXPECT_TRUE(read.databases[0].tables.empty());
  EXPECT_EQ(read.databases[0].xxh128, manifest.databases[0].xxh128);
}

TEST(Manifest, ASnapshotIsOnlyOkWhenNoDatabaseIsMissingOrUnproven) {
  auto with = [](std::vector<Verified> states) {
    std::vector<Manifest::Database> databases(states.size());
    for (std::size_t i = 0; i < states.size(); ++i) databases[i].verified = states[i];
    return databases;
  };
  EXPECT_EQ(verified_together(with({Verified::kOk, Verified::kOk})), Verified::kOk);
  EXPECT_EQ(verified_together(with({Verified::kOk, Verified::kSkipped})), Verified::kSkipped);
  EXPECT_EQ(verified_together(with({Verified::kSkipped, Verified::kPending})), Verified::kPending);
  EXPECT_EQ(verified_together(with({Verified::kPending, Verified::kFailed})), Verified::kFailed);
  EXPECT_EQ(verified_together({}), Verified::kFailed);
  auto missing = with({Verified::kOk, Verified::kOk});
  missing[1].error.emplace();
  EXPECT_EQ(verified_together(missing), Verified::kFailed);
}

// --- the file --------------------------------------------------------------------------------------------

TEST(ManifestFile, IsReplacedWholeAndPrivate) {
  const test::TempDir dir;
  const Fd fd = open_dir(dir);
  EXPECT_FALSE(read_manifest(fd.get(), "here"));
  Manifest manifest = example();
  write_manifest(fd.get(), manifest, "here");
  EXPECT_EQ(read_manifest(fd.get(), "here"), manifest);
  manifest.verified = Verified::kOk;
  write_manifest(fd.get(), manifest, "here");
  EXPECT_EQ(read_manifest(fd.get(), "here"), manifest);
  struct stat info {};
  ASSERT_EQ(::stat((dir / "manifest.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(dir / ".manifest.json.new"));
}

TEST(ManifestFile, ALeftOverIsNeitherReadNorWrittenThrough) {
  const test::TempDir dir;
  const Fd fd = open_dir(dir);
  test::write_file(dir / "precious", "precious");
  std::filesystem::create_symlink(dir / "precious", dir / ".manifest.json.new");
  write_manifest(fd.get(), example(), "here");
  EXPECT_EQ(test::read_file(dir / "precious"), "precious");
  EXPECT_EQ(read_manifest(fd.get(), "here"), example());
  test::write_file(dir / ".manifest.json.new", "{half");
  EXPECT_EQ(read_manifest(fd.get(), "here"), example());
  write_manifest(fd.get(), example(), "here");
  EXPECT_FALSE(std::filesystem::exists(dir / ".manifest.json.new"));
}

TEST(ManifestFile, ALinkInItsPlaceIsReplacedNotFollowed) {
  const test::TempDir dir;
  const Fd fd = open_dir(dir);
  test::write_file(dir / "precious", to_json_text(example()));
  std::filesystem::create_symlink(dir / "precious", dir / "manifest.json");
  EXPECT_THROW(read_manifest(fd.get(), "here"), Error);
  write_manifest(fd.get(), Manifest(), "here");
  EXPECT_EQ(test::read_file(dir / "precious"), to_json_text(example()));
}

TEST(ManifestFile, WhatIsNotARegularFileIsRefusedWithoutHanging) {
  const test::TempDir dir;
  const Fd fd = open_dir(dir);
  ASSERT_EQ(::mkfifo((dir / "manifest.json").c_str(), 0600), 0);
  EXPECT_THROW(read_manifest(fd.get(), "here"), Error);
  std::filesystem::remove(dir / "manifest.json");
  std::filesystem::create_directory(dir / "manifest.json");
  EXPECT_THROW(read_manifest(fd.get(), "here"), Error);
}

TEST(ManifestFile, DamageIsReportedWithThePath) {
  const test::TempDir dir;
  test::write_file(dir / "manifest.json", "{");
  try {
    read_manifest(open_dir(dir).get(), "/backups/x");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
    EXPECT_NE(error.message().find("/backups/x/manifest.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace litepull
