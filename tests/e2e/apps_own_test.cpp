// Apps whose schemas need functions or modules that only the app has. Their snapshots count, with a
// warning. With `strict` they do not.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/app_schemas.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "app.sqlite3";
constexpr const char* kReserve = "sound as far as it could be checked";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::vector<std::string> sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

const AppSchema& schema_named(const std::string& name) {
  const auto& all = app_schemas();
  return *std::find_if(all.begin(), all.end(), [&](const AppSchema& schema) { return schema.name == name; });
}

class AppsOwn : public testing::Test {
 protected:
  void make(const AppSchema& schema) {
    fs::remove_all(app_.storage());
    fs::create_directory(app_.storage());
    make_app_database(app_.in_storage(kName), schema);
  }

  void expect_told(const BackupRun& run, const AppSchema& schema) {
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    const auto& entry = run.database(kName);
    EXPECT_EQ(entry["verified"], "ok") << run.words();
    EXPECT_EQ(sorted(entry["unchecked"]), sorted(schema.unchecked)) << run.words();
    EXPECT_EQ(entry["foreign_keys_unchecked"], schema.foreign_keys_unchecked) << run.words();
    EXPECT_EQ(count_of(run.process.err, kReserve), schema.unchecked.empty() ? 0U : 1U) << run.words();
    const bool named = std::any_of(schema.unchecked.begin(), schema.unchecked.end(),
                                   [&](const std::string& part) { return contains(run.process.err, part); });
    EXPECT_EQ(named, !schema.unchecked.empty()) << run.words();
    EXPECT_EQ(count_of(run.process.err, "foreign keys could not be checked"),
              schema.foreign_keys_unchecked.empty() ? 0U : 1U);
    for (const std::string& said : {run.process.err, run.process.out})
      EXPECT_FALSE(contains(said, "damaged") || contains(said, "DAMAGED")) << run.words();
    const auto plain = std::find_if(entry["tables"].begin(), entry["tables"].end(),
                                    [](const auto& table) { return table["name"] == "plain"; });
    ASSERT_NE(plain, entry["tables"].end());
    EXPECT_EQ((*plain)["rows"], kPlainRows);
  }

  // `litepull COMMAND CONFIG arguments...`
  ProcessResult litepull(const std::string& command, const std::vector<std::string>& arguments,
                         int code) const {
    std::vector<std::string> words{built_program("litepull"), command, app_.config_path()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    ProcessResult result = run(words);
    EXPECT_EQ(result.status.code, code) << command << result.out << result.err;
    return result;
  }

  // What is damaged on the server, and found so in the snapshot.
  void expect_damage_found() {
    flip_bit_in_page(app_.in_storage(kName), pages_of(app_.in_storage(kName), "plain").back());
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 4) << run.words();
    EXPECT_EQ(run.database(kName)["verified"], "failed") << run.words();
    EXPECT_TRUE(contains(run.process.err, "damaged")) << run.words();
  }

  // All that a good snapshot is good for.
  void expect_good_everywhere() {
    litepull("verify", {}, 0);
    litepull("status", {"--nagios"}, 0);
    const std::string to = app_.scratch("restored");
    fs::remove_all(to);
    litepull("restore", {"latest-verified", "--to", to}, 0);
    litepull("restore", {"latest-verified", "--to-server", "--yes", "app"}, 0);
  }

  PullFixture app_{Over::kLocal};
};

TEST_F(AppsOwn, SchemasAreToldRestoredAndPrunedAsGoodOnes) {
  const std::vector<std::string> few{"everything at once", "primary key without rowid", "module",
                                     "foreign key without a parent index"};
  for (const AppSchema& schema : app_schemas()) {
    if (rounds(0, 1) == 0 && std::find(few.begin(), few.end(), schema.name) == few.end()) continue;
    SCOPED_TRACE(schema.name);
    fs::remove_all(app_.app_directory());
    app_.set("RETENTION_DAYS", "");
    app_.set("KEEP_LAST", "1");
    make(schema);
    expect_told(app_.backup(), schema);
    const BackupRun again = app_.backup();  // nothing has changed: what was found before counts
    expect_told(again, schema);
    EXPECT_EQ(app_.snapshots().size(), 1U) << again.words();
    expect_good_everywhere();
    expect_damage_found();
  }
}

TEST_F(AppsOwn, WhatCouldNotBeCheckedIsOneLineOfWarning) {
  const AppSchema& schema = schema_named("everything at once");
  make(schema);
  const BackupRun run = app_.backup();
  const ProcessResult verified = litepull("verify", {}, 0);
  EXPECT_TRUE(contains(verified.out, ": ok as far as it could be checked, 1 database")) << verified.out;
  EXPECT_EQ(count_of(verified.out, kReserve), 1U) << verified.out;
  EXPECT_TRUE(contains(verified.out, "; and 1 more")) << verified.out;
  const ProcessResult status = litepull("status", {}, 0);
  EXPECT_EQ(count_of(status.out, kReserve), 1U) << status.out;
  EXPECT_TRUE(contains(litepull("list", {}, 0).out, "ok as far as checked"));
  const ProcessResult restored = litepull("restore", {"latest", "--to", app_.scratch("restored")}, 0);
  EXPECT_EQ(count_of(restored.err, kReserve), 1U) << restored.err;
  const ProcessResult plan = litepull("restore", {"latest", "--to-server", "--dry-run"}, 0);
  EXPECT_EQ(count_of(plan.out + plan.err, kReserve), 1U) << plan.out << plan.err;
  EXPECT_TRUE(why_not_whole(run.snapshot()).empty());
}

TEST_F(AppsOwn, WithStrictWhatCouldNotBeCheckedIsAFailureAndNothingIsPruned) {
  app_.set("KEEP_LAST", "1");
  make(schema_named("index on a function"));
  EXPECT_EQ(app_.backup({"--verify=full"}).exit_code(), 0);
  const BackupRun by_option = app_.backup({"--verify=strict"});
  EXPECT_EQ(by_option.exit_code(), 4) << by_option.words();
  EXPECT_EQ(by_option.json["removed"].size(), 0U) << by_option.words();
  app_.set("VERIFY", "strict");
  const BackupRun by_key = app_.backup();
  EXPECT_EQ(by_key.exit_code(), 4) << by_key.words();
  EXPECT_FALSE(contains(by_key.process.err + by_key.process.out, "damaged")) << by_key.words();
  EXPECT_TRUE(contains(by_key.process.err, "index \"i\" of table \"names\"")) << by_key.words();
  EXPECT_EQ(app_.snapshots().size(), 3U);
  litepull("verify", {}, 4);
  EXPECT_EQ(app_.backup({"--verify=full"}).exit_code(), 0) << "the option is for one run";
  const ProcessResult status = litepull("status", {"--nagios"}, 0);
  EXPECT_TRUE(contains(status.out, "OK")) << status.out;
}

// As versions recorded it that called such a database failed.
TEST_F(AppsOwn, ASnapshotThatFailedForWantOfThemIsRestoredAndIsGoodAfterAnotherCheck) {
  const AppSchema& schema = schema_named("index on a function");
  make(schema);
  const std::string path = app_.backup().file("manifest.json");
  nlohmann::json manifest = nlohmann::json::parse(read_file(path));
  manifest["format"] = 1;
  manifest.erase("checksum");
  manifest["verified"] = manifest["databases"][0]["verified"] = "failed";
  manifest["databases"][0]["problems"] = {"could not be checked: unknown function: sound()"};
  manifest["databases"][0]["tables"] = nlohmann::json::array();
  for (const char* field : {"unchecked", "foreign_keys_unchecked"}) manifest["databases"][0].erase(field);
  write_file(path, manifest.dump());
  EXPECT_TRUE(contains(litepull("list", {}, 0).out, "NOT CHECKED"));
  litepull("status", {"--nagios"}, 2);
  litepull("restore", {"latest", "--to", app_.scratch("restored")}, 0);
  litepull("verify", {}, 0);
  litepull("status", {"--nagios"}, 0);
  const nlohmann::json now = nlohmann::json::parse(read_file(path));
  EXPECT_EQ(now["verified"], "ok");
  EXPECT_EQ(now["databases"][0]["unchecked"], schema.unchecked);
}

TEST_F(AppsOwn, StrictIsContentWithWhatCanBeChecked) {
  make(schema_named("stored column"));
  const BackupRun run = app_.backup({"--verify=strict"});
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(nlohmann::json::parse(read_file(run.file("manifest.json")))["verify"], "full");
}

TEST_F(AppsOwn, AModeThatIsNoneIsRefusedByName) {
  app_.set("VERIFY", "strickt");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 2);
  EXPECT_TRUE(contains(run.process.err, "full, quick, none or strict")) << run.words();
}

}  // namespace
}  // namespace litepull::test
