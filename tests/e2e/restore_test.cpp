// Restores to a directory. The restored files are the snapshot's and proven, an app can use them at once,
// and whatever goes wrong, nothing that was there is lost.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "tests/e2e/restore_fixture.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

constexpr const char* kOldScriptName = "2024-05-01T020000+0200";

void make_database(const std::string& path, const std::string& sql) {
  fs::create_directories(fs::path(path).parent_path());
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(sql);
}

// A row that the index does not have: integrity_check says so.
void make_unsound_database(const std::string& path) {
  make_database(path, "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2); CREATE INDEX i ON t(x)");
  std::string content = read_file(path);
  content[content.size() - 1] = '\x7F';  // a rowid in the last page, which is the index's
  write_file(path, content);
}

// --- a new directory -------------------------------------------------------------------------------------

TEST_F(Restore, AppGoesOnAtOnceWithWhatWasPulledUnderLoad) {
  Child writer = app_.start_bank(kMain, "wal");
  const std::uint64_t acknowledged = read_ack(app_.ack_path(kMain));
  pull();
  writer.stop();
  const ProcessResult result = restore("latest", target());
  ASSERT_EQ(result.status.code, 0) << words(result);
  const std::string file = target() + "/" + kMain;
  EXPECT_EQ(check_bank(file, acknowledged).failure, "");
  const std::string ack = app_.scratch("again.ack");
  Child again({built_program("bank_writer"), file, "wal", "--ack", ack});
  ASSERT_TRUE(again.read_line(Milliseconds(30'000)));
  pause_for(Milliseconds(200));
  again.stop();
  EXPECT_GT(read_ack(ack), acknowledged);
  EXPECT_EQ(check_bank(file, read_ack(ack)).failure, "");
}

TEST_F(Restore, NewDirectoryHoldsJustTheDatabasesForItsOwnerAlone) {
  make_banks();
  const std::string snapshot = pull();
  const std::string before = fingerprint(snapshot);
  const std::string directory = app_.scratch("not/there/yet");
  const ProcessResult result = restore("latest", directory + "/");
  expect_restored(result, snapshot, directory);
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(app_.scratch("not"))) {
    found.push_back(entry.path().lexically_relative(directory).string());
    EXPECT_EQ(entry.status().permissions(), fs::perms(entry.is_directory() ? 0700 : 0600)) << entry.path();
  }
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<std::string>{".", "..", kMain, "tenants", kTenant}));
  EXPECT_EQ(fingerprint(snapshot), before);
  for (const auto& entry : fs::directory_iterator(app_.scratch("")))
    EXPECT_FALSE(contains(entry.path().string(), ".litepull-")) << entry.path();
}

TEST_F(Restore, ResultSaysWhereTheFilesAreAndWhatIsInThem) {
  make_banks();
  const std::string snapshot = pull();
  const nlohmann::json out = json_of(restore("latest", target(), {"--database", kTenant}));
  EXPECT_EQ(out["snapshot_path"], snapshot);
  EXPECT_EQ(out["directory"], target());
  ASSERT_EQ(out["databases"].size(), 1U) << out;
  const nlohmann::json& database = out["databases"][0];
  EXPECT_EQ(database["path"], target() + "/" + kTenant);
  EXPECT_EQ(database["proof"], "checksum");
  EXPECT_EQ(database["xxh128"], xxh128_of(target() + "/" + kTenant));
  EXPECT_EQ(database["rows"].get<std::int64_t>(), 20 + 1 + counter_of(target() + "/" + kTenant));
  EXPECT_FALSE(fs::exists(target() + "/" + kMain));
  const ProcessResult plain =
      run({built_program("litepull"), "restore", app_.config_path(), "1", "--to", app_.scratch("second")});
  EXPECT_TRUE(contains(plain.out, "stop the app")) << words(plain);
  EXPECT_TRUE(contains(plain.out, app_.scratch("second"))) << words(plain);
}

TEST_F(Restore, UnknownNamesAreErrorsOfUsage) {
  make_banks();
  pull();
  const ProcessResult database = restore("latest", target(), {"--database", "nothing.sqlite3"});
  EXPECT_EQ(database.status.code, 2);
  EXPECT_TRUE(contains(database.err, kMain)) << words(database);
  EXPECT_EQ(restore("before-deploy", target()).status.code, 2);
  EXPECT_FALSE(fs::exists(target()));
}

TEST_F(Restore, NothingIsRestoredAmongTheSnapshots) {
  make_banks();
  const std::string snapshot = pull();
  const std::string before = fingerprint(app_.app_directory());
  fs::create_directory_symlink(snapshot, app_.scratch("link"));
  for (const std::string& directory : {snapshot, snapshot + "/deeper", app_.app_directory(),
                                       app_.scratch("link"), app_.scratch("link") + "/x/../y"})
    EXPECT_EQ(restore("latest", directory, {"--force"}).status.code, 2) << directory;
  EXPECT_EQ(fingerprint(app_.app_directory()), before);
}

// --- damage ----------------------------------------------------------------------------------------------

class DamagedSnapshot : public Restore {
 protected:
  DamagedSnapshot() {
    make_banks();
    good_ = pull();
    bad_ = pull();
    original_ = read_file(bad_ + "/" + kMain);
    fs::create_directory(there_);
    write_file(there_ + "/upload.bin", "not a database");
  }

  // Neither into a new directory nor, unless that is left out, into one that is there.
  void expect_refused(const std::string& how, bool into_both = true) {
    const std::string before = fingerprint(there_);
    for (const std::string& directory : {target(), there_}) {
      if (directory == there_ && !into_both) continue;
      const ProcessResult result = restore("latest", directory);
      EXPECT_EQ(result.status.code, 1) << how << words(result);
      EXPECT_TRUE(contains(result.err, kMain)) << how << words(result);
    }
    EXPECT_FALSE(fs::exists(target())) << how;
    EXPECT_EQ(fingerprint(there_), before) << how;
  }

  std::string good_, bad_, original_;
  std::string there_ = app_.scratch("there");
};

TEST_F(DamagedSnapshot, IsRefusedWhereverAByteIsFlipped) {
  std::mt19937_64 random{std::random_device{}()};
  for (int i = 0; i < rounds(4, 10'000); ++i) {
    std::string damaged = original_;
    const std::size_t at = i == 0 ? damaged.size() - 1 : random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    write_file(bad_ + "/" + kMain, damaged);
    expect_refused("byte " + std::to_string(at) + ": ", i % 20 == 0);
  }
}

TEST_F(DamagedSnapshot, IsRefusedWithAnotherSizeOrNoFile) {
  for (const std::string& content :
       {original_.substr(0, original_.size() - 1), original_ + "x", std::string()}) {
    write_file(bad_ + "/" + kMain, content);
    expect_refused(std::to_string(content.size()) + " bytes: ");
  }
  fs::remove(bad_ + "/" + kMain);
  expect_refused("no file: ");
  fs::create_symlink(good_ + "/" + kMain, bad_ + "/" + kMain);
  expect_refused("a link: ");
}

TEST_F(DamagedSnapshot, SaysWhichOneToTakeInstead) {
  write_file(bad_ + "/" + kMain, original_ + "x");
  const ProcessResult result = restore("latest", target());
  EXPECT_TRUE(contains(result.err, fs::path(good_).filename().string())) << words(result);
  expect_restored(restore(fs::path(good_).filename().string(), target()), good_, target());
}

TEST_F(DamagedSnapshot, StillGivesTheDatabaseThatIsWhole) {
  write_file(bad_ + "/" + kMain, original_ + "x");
  const ProcessResult result = restore("latest", target(), {"--database", kTenant});
  EXPECT_EQ(result.status.code, 0) << words(result);
}

TEST_F(DamagedSnapshot, WithADamagedManifestIsRefusedAndNotPassedOverInSilence) {
  const std::string manifest = read_file(bad_ + "/manifest.json");
  write_file(bad_ + "/manifest.json", manifest.substr(0, manifest.size() / 2));
  const ProcessResult named = restore(fs::path(bad_).filename().string(), target());
  EXPECT_EQ(named.status.code, 1) << words(named);
  EXPECT_FALSE(fs::exists(target()));
  const ProcessResult latest = restore("latest", target());
  expect_restored(latest, good_, target());
  EXPECT_TRUE(contains(latest.err, fs::path(bad_).filename().string())) << words(latest);
}

// --- what was not proven ---------------------------------------------------------------------------------

TEST_F(Restore, UncheckedDatabaseIsCheckedOnTheWay) {
  make_banks();
  const std::string snapshot = pull({"--verify=none"});
  const ProcessResult result = restore("latest", target());
  expect_restored(result, snapshot, target());
  EXPECT_EQ(json_of(result)["databases"][0]["proof"], "integrity_check");
  EXPECT_GT(json_of(result)["databases"][0]["rows"], 0);
}

TEST_F(Restore, UnsoundDatabaseIsRefusedUnlessTheUserWantsItAllTheSame) {
  make_banks();
  const std::string good = pull();
  make_unsound_database(app_.in_storage("bad.sqlite3"));
  for (const std::string verify : {"--verify=full", "--verify=none"}) {
    const std::string snapshot = pull({verify});
    const ProcessResult refused = restore("latest", target());
    EXPECT_EQ(refused.status.code, 1) << words(refused);
    EXPECT_TRUE(contains(refused.err, "bad.sqlite3") && contains(refused.err, "index i")) << words(refused);
    EXPECT_TRUE(contains(refused.err, fs::path(good).filename().string())) << words(refused);
    EXPECT_FALSE(fs::exists(target()));
    const ProcessResult other = restore("latest", app_.scratch("other" + verify), {"--database", kMain});
    EXPECT_EQ(other.status.code, 0) << words(other);
    const std::string all_the_same = app_.scratch("all" + verify);
    const ProcessResult taken = restore("latest", all_the_same, {"--allow-failed"});
    EXPECT_EQ(taken.status.code, 4) << words(taken);
    EXPECT_EQ(xxh128_of(all_the_same + "/bad.sqlite3"), xxh128_of(snapshot + "/bad.sqlite3"));
  }
}

TEST_F(Restore, DatabaseThatTheSnapshotLacksIsToldAndNotLiedAbout) {
  make_banks();
  write_file(app_.in_storage("broken.sqlite3"), std::string(8192, 'x'));
  pull();
  const ProcessResult result = restore("latest", target());
  EXPECT_EQ(result.status.code, 4) << words(result);
  EXPECT_EQ(json_of(result)["missing"].size(), 1U);
  EXPECT_TRUE(fs::exists(target() + "/" + kMain));
  EXPECT_EQ(restore("latest", app_.scratch("b"), {"--database", "broken.sqlite3"}).status.code, 1);
}

// --- a directory of the old script -----------------------------------------------------------------------

TEST_F(Restore, OldScriptsCopyIsMadeOneSoundFileWithItsWal) {
  const std::string snapshot = app_.app_directory() + "/" + kOldScriptName;
  fs::create_directories(snapshot);
  fs::permissions(app_.app_directory(), fs::perms(0700));
  make_old_bank(snapshot + "/" + kMain);
  const std::string before = fingerprint(snapshot);
  const std::uint64_t acknowledged = read_ack(app_.scratch("old.ack"));
  const ProcessResult result = restore(kOldScriptName, target());
  ASSERT_EQ(result.status.code, 0) << words(result);
  EXPECT_TRUE(contains(result.err, "may lack or mix transactions")) << words(result);
  EXPECT_EQ(json_of(result)["databases"][0]["proof"], "integrity_check");
  EXPECT_EQ(check_bank(target() + "/" + kMain, acknowledged).failure, "");
  EXPECT_EQ(std::distance(fs::directory_iterator(target()), {}), 1);
  EXPECT_EQ(fingerprint(snapshot), before);
}

TEST_F(Restore, TornCopyOfTheOldScriptIsRefused) {
  const std::string snapshot = app_.app_directory() + "/" + kOldScriptName;
  make_database(snapshot + "/" + kMain,
                "CREATE TABLE t(x); CREATE INDEX i ON t(x); INSERT INTO t VALUES (1), (2)");
  fs::permissions(app_.app_directory(), fs::perms(0700));
  std::string content = read_file(snapshot + "/" + kMain);
  std::fill(content.end() - 64, content.end(), 'x');
  write_file(snapshot + "/" + kMain, content);
  const ProcessResult result = restore(kOldScriptName, target());
  EXPECT_EQ(result.status.code, 1) << words(result);
  EXPECT_FALSE(fs::exists(target()));
}

// --- a full disk -----------------------------------------------------------------------------------------

TEST_F(Restore, DiskWithTooLittleRoomIsNamedBeforeAnythingIsCopied) {
  app_.make_bank(kMain, "wal", {"--accounts=30000"});
  pull();
  const SmallDisk disk(app_.scratch("small"), "size=2m");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  for (const std::string& directory : {app_.scratch("small"), app_.scratch("small/new")}) {
    const ProcessResult result = restore("latest", directory);
    EXPECT_EQ(result.status.code, 1) << words(result);
    EXPECT_TRUE(contains(result.err, "is free")) << words(result);
  }
  EXPECT_TRUE(fs::is_empty(app_.scratch("small")));
}

}  // namespace
}  // namespace litepull::test
