// Restores to a live server. Processes that have the databases open see the old or the new state, and
// nothing else on the server changes.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/posix.h"
#include "tests/e2e/generations.h"
#include "tests/e2e/restore_server_fixture.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace {

constexpr uid_t kAppUser = 1000;

// --- While the app runs ----------------------------------------------------------------------------------

class BusyApp : public testing::TestWithParam<const char*> {};

TEST_P(BusyApp, SeesTheOldOrTheNewStateAndGoesOn) {
  RestoreServer server;
  server.make(GetParam());
  struct stat was {
  }, is{};
  ASSERT_EQ(::stat(server.path().c_str(), &was), 0);
  const std::string other = file_bytes(server.app.in_storage(kOther));
  Traffic traffic(server.path(), 4, 2);
  for (int i = 0; i < rounds(2, 20); ++i) {
    EXPECT_TRUE(eventually([&] { return traffic.generations().contains(2) && traffic.writes() > 20 * i; }));
    const RestoreRun run = server.restore({"--yes", "app", "--database", kMain}, server.snapshot);
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.database(kMain)["outcome"], "restored");
    const std::int64_t writes = traffic.writes();
    EXPECT_TRUE(eventually([&] { return traffic.writes() > writes + 20; })) << "writers do not go on";
    EXPECT_TRUE(eventually([&] { return traffic.generations().contains(1); })) << "readers do not go on";
    const std::string safety = run.json["safety_snapshot"];
    EXPECT_EQ(run.json["safety_verified"], "ok");
    EXPECT_EQ(why_not_whole(safety), "");
    const nlohmann::json manifest = nlohmann::json::parse(read_file(safety + "/manifest.json"));
    EXPECT_TRUE(manifest["pinned"] == true && manifest["label"] == "before-restore") << manifest;
    EXPECT_EQ(generation_of(safety + "/" + kMain), 2);
    for (const char* left : {"-wal", "-shm"}) fs::remove(safety + "/" + kMain + left);
    server.advance(i % 2 == 0 ? 200 : 5000);
  }
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
  std::printf("  %lld writes and %lld reads meanwhile\n", static_cast<long long>(traffic.writes()),
              static_cast<long long>(traffic.reads()));
  EXPECT_EQ(generation_of(server.path()), 2);
  ASSERT_EQ(::stat(server.path().c_str(), &is), 0);
  EXPECT_TRUE(was.st_ino == is.st_ino && was.st_mode == is.st_mode && was.st_uid == is.st_uid);
  SQLite::Database database(server.path());
  EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), GetParam());
  EXPECT_TRUE(file_bytes(server.app.in_storage(kOther)) == other) << "another database was touched";
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, BusyApp, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

// --- While it does not -----------------------------------------------------------------------------------

class StoppedApp : public testing::TestWithParam<const char*> {};

TEST_P(StoppedApp, HasTheSnapshotsDatabaseThenAndNoFileMore) {
  for (const auto& [in_snapshot, there] : {std::pair{1000, 1000}, {4000, 100}, {100, 4000}}) {
    RestoreServer server;
    server.make(GetParam(), in_snapshot, there);
    const std::string before = names_and_owners(server.app.storage());
    const RestoreRun run = server.restore();
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(names_and_owners(server.app.storage()), before);
    EXPECT_EQ(generation_of(server.path()), 1);
    EXPECT_TRUE(run.json["written_between"].empty()) << run.words();
    // And back again, as it says.
    const RestoreRun undo =
        server.restore({"--yes", "app"}, fs::path(run.json["safety_snapshot"].get<std::string>()).filename());
    ASSERT_EQ(undo.exit_code(), 0) << undo.words();
    EXPECT_EQ(generation_of(server.path()), 2);
  }
}

TEST_P(StoppedApp, SendsOnlyWhatDiffers) {
  RestoreServer server;
  server.make(GetParam(), 8000, 8000);
  ASSERT_EQ(server.restore().exit_code(), 0);
  {
    SQLite::Database database(server.path(), SQLite::OPEN_READWRITE);
    database.exec("UPDATE accounts SET balance = 0 WHERE id = 1");
  }
  const RestoreRun run = server.restore({"--yes", "app"}, server.snapshot);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_LE(run.database(kMain)["differing_pages"].get<int>(), 6) << run.words();
  EXPECT_LE(run.database(kMain)["pages_written"].get<int>(), 6) << run.words();
  EXPECT_EQ(run.database(kOther)["differing_pages"].get<int>(), 1) << "its counters";
  EXPECT_LT(run.json["wire"]["sent_bytes"].get<int>(), 60'000) << run.words();
  EXPECT_EQ(generation_of(server.path()), 1);
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, StoppedApp, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST(RestoreToServer, WhatTheAppWroteAfterTheSafetySnapshotIsNamed) {
  RestoreServer server;
  server.make("wal");
  Traffic traffic(server.path(), 2, 0);
  EXPECT_TRUE(eventually([&] { return traffic.writes() > 10; }));
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.json["written_between"], nlohmann::json::array({kMain})) << run.words();
}

// --- What is refused, and changes nothing ----------------------------------------------------------------

TEST(RestoreToServer, NothingIsDoneUntilTheUserNamesTheApp) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--yes", "shop"}, {"--yes", ""}}) {
    const RestoreRun run = server.restore(arguments);
    EXPECT_EQ(run.exit_code(), 2) << run.words();
    expect_nothing_done(server, before, 1);
  }
  EXPECT_EQ(server.restore({"--yes", "app", "--database", "none.sqlite3"}).exit_code(), 2);
  EXPECT_EQ(server.restore({"--yes", "app"}, "2001").exit_code(), 2);
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ADryRunCountsWhatWouldChangeAndChangesNothing) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--dry-run"});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_GT(run.database(kMain)["differing_pages"].get<int>(), 100) << run.words();
  EXPECT_EQ(run.database(kOther)["differing_pages"].get<int>(), 0) << run.words();
  EXPECT_EQ(run.database(kMain)["on_server"], "there");
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ThePlanSaysWhoHasADatabaseOpen) {
  RestoreServer server;
  server.make("wal");
  Child writer = server.app.start_bank("bank.sqlite3", "wal", {"--rate", "1"});
  const BackupRun backup = server.app.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const RestoreRun run = server.restore({"--dry-run", "--database", "bank.sqlite3"});
  const nlohmann::json holders = run.database("bank.sqlite3")["open_in"];
  ASSERT_EQ(holders.size(), 1U) << run.words();
  EXPECT_EQ(holders[0]["pid"], writer.pid());
  EXPECT_EQ(holders[0]["command"], "bank_writer");
}

TEST(RestoreToServer, ASnapshotThatIsNotKnownToBeGoodIsRefused) {
  RestoreServer server;
  make_generations(server.path(), "wal", 100);
  const BackupRun backup = server.app.backup({"--verify", "none"});
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app"}, "latest");
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("litepull verify"), std::string::npos) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ASnapshotsFileThatIsNotWhatItsManifestSaysIsRefused) {
  RestoreServer server;
  server.make("wal");
  const std::string file = server.app.snapshots().at(0) + "/" + kMain;
  std::string bytes = file_bytes(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file(file, bytes);
  const std::string before = server.state();
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, AnotherPageSizeIsRefusedWithTheRemedy) {
  RestoreServer server;
  server.make("wal");
  fs::remove(server.path());
  make_generations(server.path(), "wal", 100, "PRAGMA page_size=8192");
  const std::string before = server.state();
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("--to DIR"), std::string::npos) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, AnotherRunsLockIsRespected) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  const Fd lock = open_path(server.app.app_directory() + "/.lock", O_RDWR);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 5) << run.words();
  expect_nothing_done(server, before, 1);
}

void fill_disk(const std::string& directory) {
  const std::string block(4096, 'x');
  const Fd ballast = open_path(directory + "/ballast", O_WRONLY | O_CREAT, 0600);
  while (::write(ballast.get(), block.data(), block.size()) > 0) {
  }
}

TEST(RestoreToServer, AMissingDatabaseIsNotBegunOnAFullDisk) {
  RestoreServer server;
  const std::string small = server.app.scratch("small");
  fs::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=16m,mode=0755") != 0)
    GTEST_SKIP() << "a tmpfs cannot be mounted here";
  server.app.move_storage(small);
  server.make("delete");
  fs::remove(server.path());
  fill_disk(small);
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("making it needs"), std::string::npos) << run.words();
  EXPECT_EQ(server.state(), before);
  ::umount2(small.c_str(), MNT_DETACH);
}

TEST(RestoreToServer, AFullDiskOfTheStorageIsRefusedBeforeAnythingIsTouched) {
  RestoreServer server;
  const std::string small = server.app.scratch("small");
  fs::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=16m,mode=0755") != 0)
    GTEST_SKIP() << "a tmpfs cannot be mounted here";
  server.app.move_storage(small);
  server.make("wal");
  {
    SQLite::Database open(server.path(), SQLite::OPEN_READWRITE);
    open.exec("SELECT count(*) FROM bulk");
    fill_disk(small);
    const std::string before = server.state();
    const RestoreRun run = server.restore();
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_NE(run.words().find("nothing was changed"), std::string::npos) << run.words();
    EXPECT_EQ(server.state(), before);
  }
  ::umount2(small.c_str(), MNT_DETACH);
}

// --- Databases that are damaged or not there -------------------------------------------------------------

TEST(RestoreToServer, ADamagedDatabaseIsKeptAsItIsAndMadeWhole) {
  RestoreServer server;
  server.make("delete");
  std::string bytes = file_bytes(server.path());
  std::fill(bytes.begin() + 4096, bytes.end(), '\xA5');
  write_file(server.path(), bytes, 0640);
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.json["safety_verified"], "failed") << run.words();
  EXPECT_FALSE(run.json.contains("undo")) << "a damaged database is not put back";
  EXPECT_TRUE(file_bytes(run.json["safety_snapshot"].get<std::string>() + "/" + kMain) == bytes);
  EXPECT_EQ(generation_of(server.path()), 1);
}

TEST(RestoreToServer, WhatWasReplacedCanBePutBackThoughAnotherDatabaseWasMissing) {
  RestoreServer server;
  server.make("delete");
  fs::remove(server.app.in_storage(kOther));
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.database(kOther)["outcome"], "created");
  const std::string safety = fs::path(run.json["safety_snapshot"].get<std::string>()).filename();
  EXPECT_EQ(run.json["safety_verified"], "failed") << "it must not stand for a snapshot with all databases";
  EXPECT_EQ(run.json["undo"], "litepull restore " + server.app.config_path() + " " + safety +
                                  " --to-server --database " + kMain);
  const RestoreRun undo = server.restore({"--yes", "app", "--database", kMain}, safety);
  ASSERT_EQ(undo.exit_code(), 0) << undo.words();
  EXPECT_EQ(generation_of(server.path()), 2);
  EXPECT_EQ(server.restore({"--yes", "app"}, safety).exit_code(), 1) << "as it is not whole";
}

TEST(RestoreToServer, AFileThatIsNoDatabaseIsLeftAloneUntilItIsMovedAway) {
  RestoreServer server;
  server.make("wal");
  write_file(server.path(), std::string(10'000, 'x'));
  const std::string before = server.state();
  const RestoreRun refused = server.restore();
  EXPECT_EQ(refused.exit_code(), 1) << refused.words();
  EXPECT_NE(refused.words().find("move that file away"), std::string::npos) << refused.words();
  expect_nothing_done(server, before, 1);
  fs::rename(server.path(), server.app.scratch("away"));
  ASSERT_EQ(::chmod(server.app.in_storage(kOther).c_str(), 0660), 0);
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.database(kMain)["outcome"], "created");
  EXPECT_TRUE(run.json["safety_snapshot"].is_null()) << "there was nothing to save";
  EXPECT_TRUE(file_bytes(server.path()) == file_bytes(server.app.snapshots().at(0) + "/" + kMain));
  struct stat status {};
  ASSERT_EQ(::stat(server.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
}

TEST(RestoreToServer, AStaleSidecarIsNeverPlayedIntoADatabaseThatIsMadeNew) {
  RestoreServer server;
  server.make("wal");
  fs::remove(server.path());
  write_file(server.path() + "-wal", "stale");
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_EQ(server.state(), before);
}

// A reader of a rollback-mode database that does not end: the first database is restored, the second is not.
TEST(RestoreToServer, ADatabaseThatCannotBeReplacedEndsItThereAndSaysWhichWere) {
  RestoreServer server;
  server.make("delete");
  SQLite::Database reader(server.app.in_storage(kOther), SQLite::OPEN_READWRITE);
  reader.exec("BEGIN");
  reader.execAndGet("SELECT count(*) FROM bulk");
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  EXPECT_EQ(run.database(kMain)["outcome"], "restored");
  EXPECT_EQ(run.database(kOther)["outcome"], "failed");
  EXPECT_EQ(generation_of(server.path()), 1);
  const RestoreRun first = server.restore({"--yes", "app", "--database", kOther});
  EXPECT_EQ(first.exit_code(), 1) << first.words();
  reader.exec("COMMIT");
  EXPECT_EQ(server.restore({"--yes", "app"}, server.snapshot).exit_code(), 0);
}

// --- Over SSH --------------------------------------------------------------------------------------------

TEST(RestoreOverSsh, WorksAsTheDatabasesOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  RestoreServer server(Over::kSsh);
  const std::vector<const char*> modes{"wal", "delete"};
  for (int i = 0; i < rounds(1, 2); ++i) {
    const char* mode = modes[static_cast<std::size_t>(i)];
    for (const auto& entry : fs::directory_iterator(server.app.storage())) fs::remove_all(entry);
    server.make(mode);
    for (const std::string& path : {server.app.storage(), server.path(), server.app.in_storage(kOther)})
      ASSERT_EQ(::chown(path.c_str(), kAppUser, kAppUser), 0);
    const std::string before = names_and_owners(server.app.storage());
    const RestoreRun run = server.restore({"--yes", "app"}, server.snapshot);
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(names_and_owners(server.app.storage()), before);
    EXPECT_EQ(generation_of(server.path()), 1);
    fs::remove(server.path());
    const RestoreRun fresh = server.restore({"--yes", "app", "--database", kMain}, server.snapshot);
    ASSERT_EQ(fresh.exit_code(), 0) << fresh.words();
    struct stat status {};
    ASSERT_EQ(::stat(server.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, kAppUser);
    EXPECT_EQ(status.st_gid, kAppUser);
  }
}

}  // namespace
}  // namespace litepull::test
