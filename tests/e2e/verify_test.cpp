// `litepull verify` as people and cron use it: what it says, what it records, and what it leaves alone.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMain = "main.sqlite3";
constexpr std::size_t kPageSize = 4096;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void flip_bit(const std::string& path, std::size_t byte) {
  std::string content = read_file(path);
  content.at(byte) = static_cast<char>(content[byte] ^ 4);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}

class Verify : public testing::Test {
 protected:
  Verify() {
    SQLite::Database database(app_.in_storage(kMain), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("CREATE TABLE accounts(id INTEGER PRIMARY KEY, body BLOB)");
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO accounts "
        "SELECT i, randomblob(3000) FROM n");
  }

  std::string backup(const std::vector<std::string>& arguments = {}) {
    const BackupRun run = app_.backup(arguments);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    return run.snapshot();
  }

  ProcessResult verify(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {built_program("litepull"), "verify", app_.config_path()});
    return run(arguments);
  }

  nlohmann::json verify_json(std::vector<std::string> arguments = {}) {
    arguments.push_back("--json");
    return nlohmann::json::parse(verify(arguments).out, nullptr, false);
  }

  nlohmann::json listed(const std::string& snapshot) {
    const auto json = nlohmann::json::parse(app_.litepull({"list", "--json"}).out, nullptr, false);
    for (const auto& entry : json["snapshots"])
      if (entry["path"] == snapshot) return entry;
    return nullptr;
  }

  std::string old_script_directory(const std::string& name) {
    const std::string path = app_.app_directory() + "/" + name;
    fs::create_directories(path);
    SQLite::Database database(app_.scratch("live.sqlite3"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE IF NOT EXISTS t(a)");
    for (int i = 0; i < 30; ++i) database.exec("INSERT INTO t VALUES (randomblob(500))");
    for (const char* ending : {"", "-wal", "-shm"})
      fs::copy_file(app_.scratch("live.sqlite3") + ending, path + "/old.sqlite3" + ending);
    return path;
  }

  PullFixture app_{Over::kLocal};
};

TEST_F(Verify, OfASoundSnapshotIsExitCode0AndRecorded) {
  const std::string snapshot = backup({"--verify=none"});
  EXPECT_EQ(listed(snapshot)["verified"], "skipped");
  const ProcessResult quick = verify({"--quick"});
  EXPECT_EQ(quick.status.code, 0) << quick.out << quick.err;
  EXPECT_TRUE(contains(quick.out, "ok, 1 database")) << quick.out;
  EXPECT_TRUE(contains(quick.out, "quickly")) << quick.out;
  EXPECT_TRUE(contains(read_file(snapshot + "/manifest.json"), "\"verify\": \"quick\""));
  const nlohmann::json full = verify_json();
  EXPECT_EQ(full["exit_code"], 0);
  EXPECT_EQ(full["snapshots"][0]["path"], snapshot);
  EXPECT_EQ(full["snapshots"][0]["result"], "ok");
  EXPECT_EQ(full["snapshots"][0]["recorded"], true);
  EXPECT_EQ(full["snapshots"][0]["databases"][0]["name"], kMain);
  EXPECT_TRUE(contains(read_file(snapshot + "/manifest.json"), "\"verify\": \"full\""));
  EXPECT_EQ(listed(snapshot)["verified"], "ok");
  EXPECT_TRUE(listed(snapshot)["verified_at"].is_string());
  EXPECT_EQ(why_not_whole(snapshot), "");
  EXPECT_EQ(verify({"--quiet"}).out, "");
}

TEST_F(Verify, OfAFlippedBitNamesPageAndTableAndIsExitCode4) {
  const std::string snapshot = backup();
  flip_bit(snapshot + "/" + kMain, 9 * kPageSize + 1000);
  const ProcessResult damaged = verify({"--quick"});
  EXPECT_EQ(damaged.status.code, 4);
  EXPECT_TRUE(contains(damaged.out, "DAMAGED")) << damaged.out;
  EXPECT_TRUE(contains(damaged.out, "page 10: table \"accounts\"")) << damaged.out;
  EXPECT_EQ(listed(snapshot)["verified"], "failed");
  EXPECT_TRUE(contains(app_.litepull({"list"}).out, "FAILED"));

  flip_bit(snapshot + "/" + kMain, 9 * kPageSize + 1000);  // as it was
  EXPECT_EQ(verify({"--quick"}).status.code, 0);
  EXPECT_EQ(listed(snapshot)["verified"], "failed")
      << "a quick check does not undo what stands in place of a full one";
  EXPECT_EQ(verify().status.code, 0);
  EXPECT_EQ(listed(snapshot)["verified"], "ok");
}

TEST_F(Verify, QuietlyStillTellsDamageOnStandardError) {
  const std::string snapshot = backup();
  flip_bit(snapshot + "/" + kMain, 5000);
  const ProcessResult damaged = verify({"--quiet"});
  EXPECT_EQ(damaged.status.code, 4);
  EXPECT_EQ(damaged.out, "");
  EXPECT_TRUE(contains(damaged.err, kMain)) << damaged.err;
}

TEST_F(Verify, OfAllReportsEachAndADamagedManifestToo) {
  const std::string first = backup();
  const std::string second = backup();
  const std::string old = old_script_directory("2026-01-02T030405+0000");
  EXPECT_EQ(verify({"all"}).status.code, 0);
  flip_bit(first + "/manifest.json", 200);
  const nlohmann::json json = verify_json({"all"});
  EXPECT_EQ(json["exit_code"], 4);
  ASSERT_EQ(json["snapshots"].size(), 3U) << json.dump(2);
  EXPECT_EQ(json["snapshots"][0]["path"], old);
  EXPECT_EQ(json["snapshots"][0]["result"], "ok");
  EXPECT_EQ(json["snapshots"][1]["path"], first);
  EXPECT_EQ(json["snapshots"][1]["result"], "damaged");
  EXPECT_TRUE(contains(json["snapshots"][1]["problems"][0], "manifest.json"));
  EXPECT_EQ(json["snapshots"][2]["result"], "ok");
  EXPECT_EQ(verify().status.code, 0) << "the newest is another one";
  EXPECT_EQ(verify({fs::path(first).filename()}).status.code, 4);
  flip_bit(second + "/manifest.json", 200);
  EXPECT_EQ(verify().status.code, 4) << "what would be the newest is damaged";
}

TEST_F(Verify, OfTheOldScriptsDirectoryLeavesItByteForByte) {
  const std::string path = old_script_directory("2026-01-02T030405+0000");
  const std::string before = fingerprint(path);
  const ProcessResult good = verify();
  EXPECT_EQ(good.status.code, 0) << good.out << good.err;
  EXPECT_TRUE(contains(good.out, "old script")) << good.out;
  EXPECT_EQ(fingerprint(path), before);
  EXPECT_TRUE(app_.strangers().empty()) << "nothing is left of the work";
}

TEST_F(Verify, OfAnUnknownWordIsExitCode2) {
  EXPECT_EQ(verify().status.code, 2) << "before the first backup";
  EXPECT_EQ(verify({"all"}).status.code, 2);
  backup();
  EXPECT_EQ(verify({"no-such-snapshot"}).status.code, 2);
  EXPECT_EQ(verify_json({"99"})["exit_code"], 2);
}

TEST_F(Verify, DoesNotWaitForARunThatHoldsTheLock) {
  const std::string snapshot = backup({"--verify=none"});
  const Fd lock = open_path(app_.app_directory() + "/.lock", O_RDWR);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  const ProcessResult result = verify();
  EXPECT_EQ(result.status.code, 0) << result.err;
  EXPECT_TRUE(contains(result.err, "could not be recorded")) << result.err;
  EXPECT_LT(result.duration, Milliseconds(9000));
  EXPECT_EQ(listed(snapshot)["verified"], "skipped");
}

// Whenever in the run that happens.
TEST_F(Verify, OfASnapshotThatIsRemovedMeanwhileSaysSo) {
  constexpr int kMoments = 20;
  const std::string snapshot = backup();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(verify().status.code, 0);
  const auto whole = std::chrono::steady_clock::now() - start;
  int gone = 0;
  for (int moment = 0; moment < kMoments; ++moment) {
    const std::string aside = app_.scratch("aside");
    StartOptions options;
    options.stdout_path = app_.scratch("verify.out");
    fs::remove(options.stdout_path);
    Child child({built_program("litepull"), "verify", app_.config_path()}, options);
    std::this_thread::sleep_for(whole * moment / kMoments);
    fs::rename(snapshot, aside);
    const auto status = child.wait(Milliseconds(30'000));
    fs::rename(aside, snapshot);
    ASSERT_TRUE(status);
    const std::string said = read_file(options.stdout_path);
    gone += contains(said, "removed while it was checked") ? 1 : 0;
    EXPECT_TRUE(status->code != 4 || contains(said, "removed while it was checked")) << said;
    EXPECT_TRUE(status->code == 0 || status->code == 2 || status->code == 4) << status->code;
  }
  EXPECT_GT(gone, 0);
  EXPECT_EQ(verify().status.code, 0);
}

// systemd, a terminal and a shutdown stop all processes at once, and the one that checks is the first to go.
TEST_F(Verify, StoppedWithTheProcessThatChecksSaysNothingOfTheFile) {
  {
    SQLite::Database database(app_.in_storage(kMain), SQLite::OPEN_READWRITE);
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO "
        "accounts "
        "SELECT i + 1000, randomblob(3000) FROM n");
  }
  const std::string snapshot = backup();
  Child child({built_program("litepull"), "verify", "--quiet", app_.config_path()});
  ASSERT_TRUE(eventually([&] { return !descendants_of(child.pid()).empty(); }));
  for (const ProcessEntry& checker : descendants_of(child.pid())) ::kill(checker.pid, SIGTERM);
  pause_for(Milliseconds(20));
  child.kill(SIGTERM);
  const auto status = child.wait(Milliseconds(10'000));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1);
  EXPECT_EQ(listed(snapshot)["verified"], "ok");
}

// The copy of an old script's database is large enough for a signal to meet it at work.
TEST_F(Verify, StoppedOrKilledChangesNothingAndIsSweptUp) {
  const std::string path = app_.app_directory() + "/2026-01-02T030405+0000";
  fs::create_directories(path);
  {
    SQLite::Database database(path + "/big.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("CREATE TABLE t(a)");
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO t "
        "SELECT randomblob(1000) FROM n");
  }
  const std::string before = fingerprint(path);
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    Child child({built_program("litepull"), "verify", "--quiet", app_.config_path()});
    ASSERT_TRUE(eventually([&] { return !app_.strangers().empty(); }));
    child.kill(signal);
    const auto status = child.wait(Milliseconds(10'000));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code, signal == SIGKILL ? -1 : 1);
    EXPECT_EQ(app_.strangers().empty(), signal != SIGKILL);
    EXPECT_EQ(fingerprint(path), before);
  }
  EXPECT_EQ(app_.litepull({"cleanup"}).status.code, 0);
  EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
}

// --- a full disk -----------------------------------------------------------------------------------------

TEST_F(Verify, OnAFullDiskSaysThatTheResultIsNotRecorded) {
  const SmallDisk disk(app_.workspace(), "size=2m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  const std::string snapshot = backup({"--verify=none"});
  disk.fill();
  const ProcessResult result = verify();
  EXPECT_EQ(result.status.code, 0) << "the snapshot is good all the same";
  EXPECT_TRUE(contains(result.err, "could not be recorded")) << result.err;
  EXPECT_EQ(listed(snapshot)["verified"], "skipped");
  EXPECT_EQ(why_not_whole(snapshot), "");
}

TEST_F(Verify, WithTooLittleRoomForACopyOfAnOldScriptsDatabaseSaysSo) {
  const SmallDisk disk(app_.workspace(), "size=2m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  const std::string path = old_script_directory("2026-01-02T030405+0000");
  const std::string before = fingerprint(path);
  const ProcessResult result = verify();
  EXPECT_EQ(result.status.code, 4);
  EXPECT_TRUE(contains(result.out, "COULD NOT BE CHECKED")) << result.out;
  EXPECT_TRUE(contains(result.out, "are free")) << result.out;
  EXPECT_EQ(fingerprint(path), before);
  EXPECT_TRUE(app_.strangers().empty());
}

}  // namespace
}  // namespace litepull::test
