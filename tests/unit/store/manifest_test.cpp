#include "client/store/manifest_json.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "client/base/clock.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;

Manifest example() {
  Manifest manifest;
  manifest.tool = "litepull 0.1.0";
  manifest.app = "billing";
  manifest.snapshot = "2026-11-22T020000+0100";
  manifest.order = 1'795'309'201;
  manifest.label = "before deploy";
  manifest.started_at = rfc3339_utc(1'795'309'200'041);
  manifest.pinned_at = rfc3339_utc(1'795'309'200'312);
  manifest.server = {"ssh", "app.example.com", 22, "deploy", "/storage"};
  manifest.server.host_key = "SHA256:" + std::string(42, 'a') + "+";
  manifest.server.proxy = "root@bastion.example.com:2222";
  manifest.server.app_id = "f00d";
  manifest.moved_from = Manifest::Server{"ssh", "old.example.com", 22, "root", "/data"};
  manifest.set_consistency = "pinned";
  manifest.skew_ms = 3.125;
  manifest.set_note = "a.sqlite3 was pinned in turn";
  manifest.lock_hold_ms = 1.5;
  manifest.clock_difference_ms = 90'000'000;
  manifest.wire = {std::numeric_limits<std::uint64_t>::max(), 17};
  manifest.agent = {0.5, 12'000'000};
  manifest.duration_s = 3.829;
  manifest.verified = Verified::kFailed;
  manifest.pinned = true;
  manifest.before_restore = {"2026-11-21T020000+0100", {"tenants/a.sqlite3"}, "open"};
  Manifest::Database good;
  good.name = "tenants/a.sqlite3";
  good.bytes = 8192;
  good.page_size = 4096;
  good.pages = 2;
  good.changed_pages = 1;
  good.base = "2026-11-21T020000+0100";
  good.shared_bytes = 4096;
  good.journal_mode = "wal";
  good.hold_s = 0.25;
  good.xxh128 = "a3f0c1d29be84756108d2fe36c95b704";
  good.keyed_digest = "0b1c2d3e4f5061728394a5b6c7d8e9fa";
  good.source_state = "5d0c1b7aa2f94e3380c66f1e07b2d94a";
  good.read_at = rfc3339_utc(1'795'309'200'312);
  good.verified = Verified::kFailed;
  good.problems = {"row 3 missing from index accounts_by_name", "wrong # of entries"};
  good.unchecked = {"index \"i\" of table \"accounts\": needs the app's own function \"sound\""};
  good.foreign_key_violations = 4;
  good.foreign_keys_unchecked = {"table \"kids\": foreign key mismatch"};
  good.tables = {{"accounts", 1200}, {"empty", 0}};
  Manifest::Database missing;
  missing.name = "cache.sqlite3";
  missing.verified = Verified::kSkipped;
  missing.error =
      Manifest::Failure{"corrupt", "cache.sqlite3 is not a database", "leave it out with EXCLUDE"};
  manifest.databases = {good, missing};
  return manifest;
}

Json example_json() {
  return Json::parse(to_json_text(example()));
}

// As a writer would have put it, in this format.
std::string written(Json json, int format = kManifestFormat) {
  json["format"] = format;
  if (format == kManifestFormat) return seal_manifest(json.dump(2));
  json.erase("checksum");
  return json.dump();
}

// The error that parsing gives, or fails the test.
std::string refusal(std::string_view text) {
  try {
    parse_manifest(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
    return error.message();
  }
  ADD_FAILURE() << "accepted: " << text.substr(0, 300);
  return {};
}

Fd open_dir(const test::TempDir& dir) {
  return open_path(dir.path().string(), O_RDONLY | O_DIRECTORY);
}

// --- text ------------------------------------------------------------------------------------------------

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

// --- hostile text ----------------------------------------------------------------------------------------

TEST(Manifest, WhatIsNotJsonIsRefused) {
  for (const std::string text :
       {"", " ", "nonsense", "{", "{}}", "{\"format\":1e999}", "\xFF\xFE", "{\"a\":\"\xE9\"}"})
    refusal(text);
  refusal(std::string_view("\0\0\0\0", 4));
  refusal(to_json_text(example()) + "x");
}

TEST(Manifest, EveryCutOfAManifestIsRefused) {
  const std::string text = to_json_text(example());
  for (std::size_t size = 0; size < text.size(); ++size) refusal(text.substr(0, size));
}

TEST(Manifest, DeepNestingIsRefusedWithoutRecursion) {
  refusal(std::string(1'000'000, '['));
  std::string text = "{\"format\":1,\"x\":";
  for (int i = 0; i < 100'000; ++i) text += "{\"a\":";
  refusal(text);
}

// One that is read in the time of its length; with the square of it these would take minutes.
TEST(Manifest, ManyValuesOfNoMeaningTakeLittleTime) {
  const std::string start =
      "{\"format\":1,\"app\":\"a\",\"snapshot\":\"s\",\"verified\":\"ok\",\"databases\":[],";
  std::string objects = start + "\"x\":[{}", keys = start + "\"x\":{\"\":0", more = objects;
  for (int i = 0; i < 450'000; ++i) {
    objects += ",{}";
    keys += ",\"" + std::to_string(i) + "\":0";
    more += ",{},{},{}";
  }
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_manifest(objects + "]}").app, "a");
  EXPECT_EQ(parse_manifest(keys + "}}").app, "a");
  EXPECT_NE(refusal(more + "]}").find("too many values"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

TEST(Manifest, MoreThanItsLimitIsRefusedUnread) {
  EXPECT_NE(refusal(std::string(kMaxManifestBytes + 1, ' ')).find("too large"), std::string::npos);
}

TEST(Manifest, AnotherFormatIsRefusedByNumber) {
  Json json = example_json();
  json["format"] = 3;
  EXPECT_NE(refusal(json.dump(2)).find("format is 3"), std::string::npos);
  for (const Json& format : {Json(nullptr), Json("1"), Json(1.0), Json(true)}) {
    json["format"] = format;
    refusal(json.dump());
  }
}

TEST(Manifest, WhatASnapshotCannotDoWithoutIsNamedWhenMissing) {
  for (const char* key : {"format", "app", "snapshot", "verified", "databases"}) {
    Json json = example_json();
    json.erase(key);
    const std::string text = std::string(key) == "format" ? json.dump(2) : written(json);
    EXPECT_NE(refusal(text).find(key), std::string::npos) << key;
  }
  for (const char* key : {"name", "verified", "xxh128"}) {
    Json json = example_json();
    json["databases"][0].erase(key);
    EXPECT_NE(refusal(written(json)).find(key), std::string::npos) << key;
  }
}

TEST(Manifest, FieldsOfALaterVersionArePassedOver) {
  Json json = example_json();
  json["flags"] = {{"by", "me"}, {"list", {1, 2, 3}}};
  json["databases"][0]["colour"] = "green";
  for (const int format : {1, 2}) EXPECT_EQ(parse_manifest(written(json, format)), example());
}

TEST(Manifest, FieldsOfAnEarlierVersionMayBeMissing) {
  Json json = example_json();
  for (const char* key :
       {"label", "wire", "server", "moved_from", "skew_ms", "set_note", "verify", "duration_s"})
    json.erase(key);
  for (const char* key : {"pinned", "order", "clock_difference_ms", "before_restore"}) json.erase(key);
  for (const int format : {1, 2}) {
    EXPECT_EQ(parse_manifest(written(json, format)).verify, "full");
    EXPECT_FALSE(parse_manifest(written(json, format)).pinned);
  }
}

TEST(Manifest, ValuesThatDoNotFitAreRefused) {
  const std::pair<const char*, Json> cases[] = {
      {"/app", 1},
      {"/label", Json::array()},
      {"/verified", "maybe"},
      {"/verified", true},
      {"/verify", "half"},
      {"/set_consistency", "barriers"},
      {"/skew_ms", "1"},
      {"/order", -1},
      {"/order", 1'000'000'000'001},
      {"/clock_difference_ms", "1"},
      {"/before_restore", "x"},
      {"/before_restore/databases", "x"},
      {"/before_restore/databases/0", 1},
      {"/server", "x"},
      {"/pinned", 1},
      {"/pinned", "yes"},
      {"/server/port", 65536},
      {"/server/port", -1},
      {"/server/host", std::string(4097, 'x')},
      {"/server/host", Json::array()},
      {"/server/directory", std::string(1 << 20, 'x')},
      {"/server/host_key", 1},
      {"/server/host_key", "SHA256:"},
      {"/server/host_key", "SHA256:" + std::string(44, 'a')},
      {"/server/host_key", "MD5:" + std::string(43, 'a')},
      {"/server/host_key", "SHA256:" + std::string(42, 'a') + "\x1B"},
      {"/server/proxy", "a b"},
      {"/server/app_id", std::string(65, 'x')},
      {"/server/app_id", "x\ny"},
      {"/server/app_id", 7},
      {"/moved_from", "x"},
      {"/moved_from", Json::array()},
      {"/moved_from/app_id", "../x"},
      {"/moved_from/port", "22"},
      {"/wire/sent_bytes", -1},
      {"/wire/sent_bytes", 1.5},
      {"/databases", Json::object()},
      {"/databases/0", 1},
      {"/databases/0/pages", 4294967296},
      {"/databases/0/bytes", -4096},
      {"/databases/0/problems", "x"},
      {"/databases/0/problems/0", 1},
      {"/databases/0/tables/0", "x"},
      {"/databases/0/tables/0/rows", 9223372036854775808U},
      {"/databases/0/error", "x"},
      {"/databases/0/xxh128", "A3F0C1D29BE84756108D2FE36C95B704"},
      {"/databases/0/xxh128", "a3f0"},
      {"/databases/0/keyed_digest", "a3f0"},
      {"/databases/0/name", "../../../etc/passwd"},
      {"/databases/1/name", "tenants/a.sqlite3"},
  };
  for (const auto& [pointer, value] : cases) {
    Json json = example_json();
    json[Json::json_pointer(pointer)] = value;
    EXPECT_EQ(refusal(written(json)).find("checksum"), std::string::npos) << pointer;
  }
}

// --- the checksum ----------------------------------------------------------------------------------------

TEST(ManifestChecksum, EverySingleFlippedBitIsRefused) {
  std::string text = to_json_text(example());
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    const char original = text[bit / 8];
    text[bit / 8] = static_cast<char>(original ^ (1 << (bit % 8)));
    refusal(text);
    text[bit / 8] = original;
  }
  EXPECT_EQ(parse_manifest(text), example());
}

TEST(ManifestChecksum, SaysThatTheFileWasDamagedOrEdited) {
  std::string text = to_json_text(example());
  text.replace(text.find("1200"), 4, "1201");
  EXPECT_NE(refusal(text).find("damaged or edited"), std::string::npos);
  text = to_json_text(example());
  EXPECT_NE(refusal(text + "\n").find("damaged or edited"), std::string::npos);
}

TEST(ManifestChecksum, CannotBeShedByClaimingTheOldFormat) {
  std::string text = to_json_text(example());
  text.replace(text.find("\"format\": 2"), 11, "\"format\": 1");
  EXPECT_NE(refusal(text).find("checksum"), std::string::npos);
}

TEST(ManifestChecksum, IsFoundOnlyWhereItIsTheField) {
  Manifest manifest = example();
  manifest.label = "\"checksum\": \"00000000000000000000000000000000\"";
  manifest.databases[0].tables = {{"checksum", 1}};
  EXPECT_EQ(parse_manifest(to_json_text(manifest)), manifest);
}

TEST(ManifestChecksum, TwiceInATextIsRefused) {
  Json json = example_json();
  json["databases"][0]["checksum"] = std::string(32, '0');
  refusal(json.dump(2));
}

TEST(Manifest, OfFormat1IsReadWithoutAChecksum) {
  EXPECT_EQ(parse_manifest(written(example_json(), 1)), example());
}

TEST(Manifest, NoDamagedByteCrashesTheReader) {
  const std::string text = to_json_text(example());
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = text;
    for (int hits = 0; hits < 3; ++hits) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      parse_manifest(damaged);
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kCorrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 2500);
}

TEST(Manifest, DatabaseNamesStayInsideTheirSnapshot) {
  for (const char* name :
       {"production.sqlite3", "tenants/a.sqlite3", ".hidden", "a b", "caf\u00E9.db", "..x", "x.."})
    EXPECT_TRUE(is_database_name(name)) << name;
  for (const char* name : {"",
                           "/",
                           "/etc/passwd",
                           "..",
                           ".",
                           "../x",
                           "a/../x",
                           "a//x",
                           "a/",
                           "./x",
                           "a\nb",
                           "\x1B[2J",
                           "bad\xE9",
                           "manifest.json",
                           "manifest.json/x.sqlite3",
                           "Manifest.JSON",
                           ".manifest.json.new",
                           "x.sqlite3-wal",
                           "x.sqlite3-shm",
                           "a/x.sqlite3-journal",
                           "x.sqlite3-WAL"})
    EXPECT_FALSE(is_database_name(name)) << name;
  EXPECT_FALSE(is_database_name(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_database_name("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/x"));
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
