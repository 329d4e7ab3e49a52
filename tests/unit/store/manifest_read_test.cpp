// Manifests that are damaged, edited or hostile.
#include "client/store/manifest_json.h"

#include <gtest/gtest.h>

#include "tests/unit/store/manifest_fixture.h"

namespace litepull {
namespace {

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

// If reading took the square of the length, these would take minutes.
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
    EXPECT_FALSE(parse_manifest(written(json, format)).kept);
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

}  // namespace
}  // namespace litepull
