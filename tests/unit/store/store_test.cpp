#include "client/store/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "client/store/manifest_json.h"
#include "client/store/retention.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr std::int64_t kNow = 1'795'309'200;
constexpr std::int64_t kDayS = 86'400;
constexpr const char* kHash = "a3f0c1d29be84756108d2fe36c95b704";

Manifest manifest_for(const std::string& snapshot, Verified verified = Verified::kOk) {
  Manifest manifest;
  manifest.app = "billing";
  manifest.snapshot = snapshot;
  manifest.verified = verified;
  manifest.databases.resize(1);
  manifest.databases[0].name = "production.sqlite3";
  manifest.databases[0].xxh128 = kHash;
  return manifest;
}

void fill(const Staging& staging, const std::string& name, const std::string& content) {
  Fd file = staging.open_file(name);
  write_all(file.get(), content.data(), content.size(), name);
  fsync_fd(file.get(), name);
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
}

// Everything a person could see of the path: the entry, all below it, and all content.
std::string fingerprint(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return "gone";
  std::string text = std::to_string(info.st_mode) + " " + std::to_string(info.st_ino) + "\n";
  if (S_ISLNK(info.st_mode)) return text + fs::read_symlink(path).string();
  if (S_ISREG(info.st_mode)) return text + test::read_file(path.string());
  if (!S_ISDIR(info.st_mode)) return text;
  text += test::listing(path.string());
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file() && !entry.is_symlink()) text += test::read_file(entry.path().string());
  return text;
}

template <typename Action>
ErrorKind kind_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "did not throw";
  return ErrorKind::kFailed;
}

class StoreTest : public testing::Test {
 protected:
  std::string root() const { return dir_ / "backups"; }
  std::string app(const std::string& name = "") const {
    return root() + "/billing" + (name.empty() ? "" : "/" + name);
  }

  std::string publish(std::int64_t unix_s, Verified verified = Verified::kOk) {
    const AppLock lock = store().lock();
    Staging staging = store().create_staging(lock);
    const SnapshotTime time{unix_s, 60};
    fill(staging, "production.sqlite3", "rows of " + std::to_string(unix_s));
    write_manifest(staging.fd(), manifest_for(format_snapshot_name(time), verified), staging.path());
    return store().publish(lock, std::move(staging), time).name;
  }

  void old_script(const std::string& name) {
    test::write_file(app(name + "/production.sqlite3"), "old rows");
    test::write_file(app(name + "/production.sqlite3-wal"), "old wal");
    test::write_file(app(name + "/production.sqlite3-shm"), "old shm");
  }

  Names listed() {
    Names names;
    for (const Snapshot& snapshot : store().list().snapshots) names.push_back(snapshot.name);
    return names;
  }

  Names in_app_dir() {
    Names names;
    for (const auto& entry : fs::directory_iterator(app())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  Store& store() {
    if (!store_) store_.emplace(root(), "billing", Store::Missing::kCreate);
    return *store_;
  }

  test::TempDir dir_;
  std::optional<Store> store_;
};

// --- the directory ---------------------------------------------------------------------------------------

TEST_F(StoreTest, IsMadePrivateWithAllThatIsMissingAboveIt) {
  const Store made(dir_ / "a/b/c", "billing", Store::Missing::kCreate);
  for (const char* name : {"a", "a/b", "a/b/c", "a/b/c/billing"})
    EXPECT_EQ(mode_of(dir_ / name), 0700U) << name;
  EXPECT_EQ(made.path(), dir_ / "a/b/c/billing");
}

TEST_F(StoreTest, WhenMissingThereIsNothingToListAndNothingIsMade) {
  const Store absent(root(), "billing", Store::Missing::kEmpty);
  EXPECT_FALSE(absent.exists());
  EXPECT_TRUE(absent.list().snapshots.empty());
  EXPECT_FALSE(fs::exists(root()));
  fs::create_directory(root());
  EXPECT_FALSE(Store(root(), "billing", Store::Missing::kEmpty).exists());
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST_F(StoreTest, TheRootMayBeALinkButTheAppDirectoryMayNot) {
  fs::create_directories(dir_ / "elsewhere/real");
  fs::create_directory_symlink(dir_ / "elsewhere", dir_ / "backups");
  EXPECT_TRUE(Store(root() + "/", "billing", Store::Missing::kCreate).exists());
  EXPECT_TRUE(fs::is_directory(dir_ / "elsewhere/billing"));
  fs::create_directory_symlink(dir_ / "elsewhere/real", dir_ / "elsewhere/shop");
  for (const auto missing : {Store::Missing::kCreate, Store::Missing::kEmpty})
    EXPECT_EQ(kind_of([&] { Store(root(), "shop", missing); }), ErrorKind::kRefused);
}

TEST_F(StoreTest, AFileOrDanglingLinkInPlaceOfTheAppDirectoryIsRefused) {
  test::write_file(root() + "/file", "");
  fs::create_symlink("/nonexistent", root() + "/dangling");
  for (const char* name : {"file", "dangling"})
    EXPECT_EQ(kind_of([&] { Store(root(), name, Store::Missing::kCreate); }), ErrorKind::kRefused);
}

TEST_F(StoreTest, AnotherUsersDirectoryIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  fs::create_directories(app());
  ASSERT_EQ(::chown(app().c_str(), 4242, 4242), 0);
  EXPECT_EQ(kind_of([&] { store(); }), ErrorKind::kRefused);
}

TEST_F(StoreTest, AnAppNameThatLeavesTheRootIsRefused) {
  for (const char* name : {"", ".", "..", "../x", "a/b", "/etc", "a\nb"})
    EXPECT_EQ(kind_of([&] { Store(root(), name, Store::Missing::kCreate); }), ErrorKind::kConfiguration)
        << name;
  EXPECT_FALSE(fs::exists(root()));
}

// --- the lock --------------------------------------------------------------------------------------------

TEST_F(StoreTest, TwoRunsOfOneAppCannotHoldTheLock) {
  const Store other(root(), "billing", Store::Missing::kCreate);
  {
    const AppLock lock = store().lock();
    try {
      other.lock();
      FAIL() << "locked twice";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBusy);
      EXPECT_NE(error.message().find("billing (process " + std::to_string(::getpid()) + ")"),
                std::string::npos);
    }
  }
  EXPECT_NO_THROW(other.lock());
  EXPECT_EQ(mode_of(app(".lock")), 0600U);
}

TEST_F(StoreTest, AppsDoNotLockEachOther) {
  const Store other(root(), "shop", Store::Missing::kCreate);
  const AppLock lock = store().lock();
  EXPECT_NO_THROW(other.lock());
}

TEST_F(StoreTest, TheLockOfAKilledRunIsFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const AppLock lock = Store(root(), "billing", Store::Missing::kCreate).lock();
    (void)!::write(ready[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(kind_of([&] { store().lock(); }), ErrorKind::kBusy);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(store().lock());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(StoreTest, ALinkOrFifoInPlaceOfTheLockIsNotUsed) {
  store();
  test::write_file(dir_ / "precious", "precious");
  fs::create_symlink(dir_ / "precious", app(".lock"));
  EXPECT_THROW(store().lock(), Error);
  EXPECT_EQ(test::read_file(dir_ / "precious"), "precious");
  fs::remove(app(".lock"));
  ASSERT_EQ(::mkfifo(app(".lock").c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { store().lock(); }), ErrorKind::kRefused);
}

// --- staging and publishing ------------------------------------------------------------------------------

TEST_F(StoreTest, APublishedSnapshotIsPlainPrivateFiles) {
  const AppLock lock = store().lock();
  Staging staging = store().create_staging(lock);
  EXPECT_EQ(mode_of(staging.path()), 0700U);
  fill(staging, "production.sqlite3", "rows");
  fill(staging, "tenants/eu/a.sqlite3", "tenant");
  const SnapshotTime time{kNow, 60};
  const Manifest manifest = manifest_for("2026-11-22T020000+0100");
  write_manifest(staging.fd(), manifest, staging.path());
  EXPECT_EQ(store().publish(lock, std::move(staging), time).name, "2026-11-22T020000+0100");

  EXPECT_EQ(in_app_dir(), (Names{".lock", "2026-11-22T020000+0100"}));
  EXPECT_EQ(mode_of(app("2026-11-22T020000+0100")), 0700U);
  EXPECT_EQ(mode_of(app("2026-11-22T020000+0100/tenants/eu")), 0700U);
  for (const char* name : {"production.sqlite3", "manifest.json", "tenants/eu/a.sqlite3"})
    EXPECT_EQ(mode_of(app("2026-11-22T020000+0100/") + name), 0600U) << name;
  const Fd dir = store().open_snapshot("2026-11-22T020000+0100");
  EXPECT_EQ(read_manifest(dir.get(), "it"), manifest);
  char text[6] = {};
  pread_all(open_file(dir.get(), "tenants/eu/a.sqlite3", "it").get(), text, 6, 0, "it");
  EXPECT_EQ(std::string(text, 6), "tenant");
}

TEST_F(StoreTest, WhatIsNotPublishedLeavesNothing) {
  const AppLock lock = store().lock();
  {
    const Staging staging = store().create_staging(lock);
    fill(staging, "tenants/a.sqlite3", "x");
    EXPECT_TRUE(store().list().snapshots.empty());
  }
  EXPECT_EQ(in_app_dir(), Names{".lock"});
}

TEST_F(StoreTest, AFileIsNeverWrittenOutsideItsStaging) {
  const AppLock lock = store().lock();
  const Staging staging = store().create_staging(lock);
  for (const char* name :
       {"../x", "/tmp/x", "a/../../x", "", "manifest.json", ".hashes/a", "x.sqlite3-wal", "a\nb"})
    EXPECT_EQ(kind_of([&] { staging.open_file(name); }), ErrorKind::kRefused) << name;
  fs::create_directory_symlink(dir_.path(), staging.path() + "/out");
  fs::create_symlink(dir_ / "target", staging.path() + "/link.sqlite3");
  EXPECT_THROW(staging.open_file("out/x.sqlite3"), Error);
  EXPECT_THROW(staging.open_file("link.sqlite3"), Error);
  test::write_file(dir_ / "elsewhere", "x");
  fs::create_hard_link(dir_ / "elsewhere", staging.path() + "/linked.sqlite3");
  EXPECT_EQ(kind_of([&] { staging.open_file("linked.sqlite3"); }), ErrorKind::kRefused);
  EXPECT_FALSE(fs::exists(dir_ / "x.sqlite3"));
  EXPECT_FALSE(fs::exists(dir_ / "target"));
}

TEST_F(StoreTest, ADatabaseThatFailedIsTakenBackWithItsEmptyDirectories) {
  const AppLock lock = store().lock();
  const Staging staging = store().create_staging(lock);
  fill(staging, "tenants/a.sqlite3", "x");
  fill(staging, "tenants/eu/b.sqlite3", "x");
  staging.discard_file("tenants/eu/b.sqlite3");
  EXPECT_FALSE(fs::exists(staging.path() + "/tenants/eu"));
  EXPECT_TRUE(fs::exists(staging.path() + "/tenants/a.sqlite3"));
  EXPECT_NO_THROW(staging.open_file("tenants/eu/b.sqlite3"));
}

TEST_F(StoreTest, WhatAnInterruptedRunHasIsGoneOnWithAndOnlyItsDatabases) {
  fs::create_directories(app(".partial-old/x"));
  fs::last_write_time(app(".partial-old"), fs::file_time_type::clock::now() - std::chrono::hours(1));
  fs::create_directories(app(".partial-new/tenants"));
  fs::create_directories(app(".partial-new/.hashes"));
  test::write_file(app(".partial-new/tenants/a.sqlite3"), "half");
  test::write_file(app(".partial-new/.hashes/a.sqlite3"), "hashes");
  test::write_file(app(".partial-new/manifest.json"), "{}");
  test::write_file(dir_ / "outside", "kept");
  fs::create_hard_link(dir_ / "outside", app(".partial-new/linked.sqlite3"));
  fs::create_symlink(dir_ / "outside", app(".partial-new/link.sqlite3"));
  const AppLock lock = store().lock();
  const Staging staging = store().resume_staging(lock);
  EXPECT_EQ(staging.path(), app(".partial-new"));
  EXPECT_EQ(staging.leftovers(), Names{"tenants/a.sqlite3"});
  EXPECT_EQ(fs::file_size(staging.path() + "/tenants/a.sqlite3"), 4U);
  EXPECT_FALSE(fs::exists(staging.path() + "/.hashes"));
  EXPECT_FALSE(fs::exists(staging.path() + "/manifest.json"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(staging.path() + "/link.sqlite3")));
  EXPECT_EQ(test::file_bytes(dir_ / "outside"), "kept");
  EXPECT_EQ(store().sweep(lock, &staging).removed, Names{".partial-old"});
  EXPECT_TRUE(fs::exists(staging.path()));
}

TEST_F(StoreTest, WhatIsKeptOutlivesItsRun) {
  const AppLock lock = store().lock();
  std::string path;
  {
    Staging staging = store().create_staging(lock);
    path = staging.path();
    fill(staging, "a.sqlite3", "half");
    staging.keep();
  }
  EXPECT_TRUE(store().list().snapshots.empty());
  EXPECT_EQ(store().resume_staging(lock).path(), path);
  EXPECT_FALSE(fs::exists(path));  // not kept the second time
}

TEST_F(StoreTest, ATakenNameIsNeverReplaced) {
  const std::string name = publish(kNow);
  const std::string before = fingerprint(app(name));
  EXPECT_THROW(publish(kNow), Error);
  EXPECT_EQ(fingerprint(app(name)), before);
  test::write_file(app("2026-11-23T020000+0100"), "a file");
  EXPECT_THROW(publish(kNow + kDayS), Error);
  fs::create_directory(app("2026-11-24T020000+0100"));  // rename(2) would replace an empty directory
  EXPECT_THROW(publish(kNow + 2 * kDayS), Error);
  EXPECT_EQ(in_app_dir(), (Names{".lock", name, "2026-11-23T020000+0100", "2026-11-24T020000+0100"}));
}

TEST_F(StoreTest, ATakenSecondIsWaitedForAndNeverRunAhead) {
  const AppLock lock = store().lock();
  std::int64_t clock_ms = kNow * 1000;
  int waits = 0;
  auto now = [&] { return clock_ms / 1000; };
  auto sleep = [&](int ms) { clock_ms += ms, ++waits; };
  EXPECT_EQ(store().choose_free_time(lock, now, sleep).unix_s, kNow);
  EXPECT_EQ(waits, 0);
  fs::create_directory(app(format_snapshot_name(local_snapshot_time(kNow))));
  test::write_file(app(format_snapshot_name(local_snapshot_time(kNow + 1))), "");
  fs::create_symlink("/nonexistent", app(format_snapshot_name(local_snapshot_time(kNow + 2))));
  const SnapshotTime chosen = store().choose_free_time(lock, now, sleep);
  EXPECT_EQ(chosen.unix_s, kNow + 3);
  EXPECT_LE(chosen.unix_s, now());
  EXPECT_GT(waits, 0);
}

using StoreDeathTest = StoreTest;

TEST_F(StoreDeathTest, ASnapshotIsNotPublishedWithoutItsOwnManifest) {
  const AppLock lock = store().lock();
  auto publish_with = [&](const std::optional<Manifest>& manifest) {
    Staging staging = store().create_staging(lock);
    if (manifest) write_manifest(staging.fd(), *manifest, staging.path());
    store().publish(lock, std::move(staging), {kNow, 60});
  };
  EXPECT_DEATH(publish_with(std::nullopt), "manifest");
  EXPECT_DEATH(publish_with(manifest_for("2026-11-22T020001+0100")), "manifest");
}

// --- listing ---------------------------------------------------------------------------------------------

TEST_F(StoreTest, SnapshotsAreListedByInstantAcrossAClockChange) {
  const std::int64_t repeated = parse_snapshot_name("2026-10-25T023000+0200")->unix_s;
  old_script("2026-10-25T023000+0100");
  old_script("2026-10-25T023000+0200");
  const std::string before = publish(repeated - 60);
  EXPECT_EQ(listed(), (Names{before, "2026-10-25T023000+0200", "2026-10-25T023000+0100"}));
}

TEST_F(StoreTest, ASnapshotSaysWhatItHolds) {
  publish(kNow, Verified::kFailed);
  old_script("2026-11-23T020000+0100");
  const auto snapshots = store().list().snapshots;
  ASSERT_EQ(snapshots.size(), 2U);
  EXPECT_FALSE(snapshots[0].old_script());
  EXPECT_EQ(snapshots[0].verified, Verified::kFailed);
  EXPECT_EQ(snapshots[0].time, (SnapshotTime{kNow, 60}));
  EXPECT_EQ(snapshots[0].database_count, 1U);
  EXPECT_TRUE(snapshots[1].old_script());
  EXPECT_EQ(snapshots[1].verified, Verified::kSkipped);
  EXPECT_EQ(snapshots[1].database_count, 1U);
  EXPECT_EQ(snapshots[1].size_bytes, 22U);
  EXPECT_GT(snapshots[1].disk_bytes, 0U);
}

TEST_F(StoreTest, DatabasesMissingFromASnapshotAreNotCounted) {
  const std::string name = publish(kNow);
  Manifest manifest = manifest_for(name);
  manifest.databases.resize(2);
  manifest.databases[1].name = "cache.sqlite3";
  manifest.databases[1].error = Manifest::Failure{"corrupt", "not a database", ""};
  write_manifest(store().open_snapshot(name).get(), manifest, app(name));
  EXPECT_EQ(store().list().snapshots.at(0).database_count, 1U);
}

// --- work directories ------------------------------------------------------------------------------------

TEST_F(StoreTest, AWorkDirectoryIsPrivateInvisibleAndGoneAfterwards) {
  std::string path;
  {
    const WorkDir work = store().create_work_dir();
    path = work.path();
    EXPECT_EQ(mode_of(path), 0700U);
    test::write_file(path + "/a/b", "copy");
    EXPECT_TRUE(store().list().snapshots.empty() && store().list().strangers.empty());
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(StoreTest, ASweepLeavesAWorkDirectoryAloneWhileItIsInUse) {
  const WorkDir work = store().create_work_dir();
  test::write_file(work.path() + "/copy", "copy");
  const AppLock lock = store().lock();
  EXPECT_TRUE(store().sweep(lock).removed.empty());
  EXPECT_TRUE(fs::exists(work.path() + "/copy"));
}

TEST_F(StoreTest, ASweepRemovesTheWorkDirectoryOfAKilledProcess) {
  store();
  const pid_t child = ::fork();
  if (child == 0) {
    const WorkDir work = store().create_work_dir();
    test::write_file(work.path() + "/copy", "copy");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  const Names left = in_app_dir();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(store().sweep(store().lock()).removed, left);
}

// What a person may have put beside the snapshots, each under a name a snapshot could have.
class StrangersTest : public StoreTest {
 protected:
  StrangersTest() {
    store();
    test::write_file(dir_ / "outside/production.sqlite3", "outside");
    test::write_file(dir_ / "outside/manifest.json", to_json_text(manifest_for("2020-01-01T000000+0000")));
    fs::create_directory_symlink(dir_ / "outside", app("2020-01-01T000000+0000"));
    fs::create_symlink("/nonexistent", app("2020-01-02T000000+0000"));
    test::write_file(app("2020-01-03T000000+0000"), "a file");
    fs::create_directory(app("2020-01-04T000000+0000"));
    test::write_file(app("2020-01-05T000000+0000/holiday.jpg"), "foreign");
    test::write_file(app("2020-01-06T000000+0000/production.sqlite3"), "one more file beside it");
    test::write_file(app("2020-01-06T000000+0000/notes.txt"), "notes");
    test::write_file(app("2020-01-07T000000+0000/manifest.json"), "{ broken");
    Manifest other_app = manifest_for("2020-01-08T000000+0000");
    other_app.app = "shop";
    test::write_file(app("2020-01-08T000000+0000/manifest.json"), to_json_text(other_app));
    test::write_file(app("2020-01-09T000000+0000/manifest.json"),
                     to_json_text(manifest_for("2019-01-01T000000+0000")));
    fs::create_directories(app("2020-01-10T000000+0000/production.sqlite3"));
    fs::create_directory(app("2020-01-11T000000+0000"));
    fs::create_symlink(dir_ / "outside/production.sqlite3", app("2020-01-11T000000+0000/production.sqlite3"));
    fs::create_directory(app("2020-01-12T000000+0000"));
    fs::create_symlink(dir_ / "outside/manifest.json", app("2020-01-12T000000+0000/manifest.json"));
    fs::create_directory(app("2020-01-13T000000+0000"));
    EXPECT_EQ(::mkfifo(app("2020-01-13T000000+0000/production.sqlite3").c_str(), 0600), 0);
    test::write_file(app("2020-01-14T000000+0000/production.sqlite3-wal"), "a sidecar alone");
    test::write_file(app("2020-01-15T000000+0000/manifest.json"), R"({"format":3})");
    for (const auto& entry : fs::directory_iterator(app())) strangers_.push_back(entry.path());

    // Nor are these touched: not a snapshot's name, or a sweepable name on something else.
    test::write_file(app("notes/production.sqlite3"), "notes");
    test::write_file(app("2020-13-01T000000+0000/production.sqlite3"), "no such month");
    test::write_file(app(".partial-file"), "a file");
    fs::create_directory_symlink(dir_ / "outside", app(".partial-0123456789abcdef"));
    fs::create_directory_symlink(dir_ / "outside", app(".trash-2020-01-01T000000+0000-0123456789abcdef"));
    fs::create_directories(app("partial-1"));
    for (const auto& entry : fs::directory_iterator(app())) bystanders_.push_back(entry.path());
    bystanders_.push_back(dir_.path() / "outside");
  }

  std::string all() {
    std::string text;
    for (const fs::path& path : bystanders_) text += path.string() + ": " + fingerprint(path) + "\n";
    return text;
  }

  std::vector<fs::path> strangers_;
  std::vector<fs::path> bystanders_;
};

TEST_F(StrangersTest, AreReportedEachWithAReasonAndNotCounted) {
  const std::string ours = publish(kNow);
  const Listing listing = store().list();
  EXPECT_EQ(listed(), Names{ours});
  ASSERT_EQ(listing.strangers.size(), strangers_.size());
  for (const Stranger& stranger : listing.strangers) EXPECT_FALSE(stranger.reason.empty()) << stranger.name;
  auto reason = [&](std::size_t number) { return listing.strangers.at(number - 1).reason; };
  EXPECT_EQ(reason(1), "it is not a real directory");
  EXPECT_EQ(reason(4), "it is empty");
  EXPECT_EQ(reason(6), "it has no manifest, and holds notes.txt");
  EXPECT_NE(reason(7).find("not JSON"), std::string::npos);
  EXPECT_EQ(reason(8), "its manifest is of the app shop");
  EXPECT_NE(reason(15).find("format is 3"), std::string::npos);
}

TEST_F(StrangersTest, AreByteForByteTheSameAfterEverythingElseWasRemoved) {
  const std::string before = all();
  for (int day = 1; day <= 5; ++day) publish(kNow - day * kDayS);
  old_script("2019-06-01T020000+0200");
  fs::create_directories(app(".partial-dead/tenants"));
  const AppLock lock = store().lock();
  EXPECT_EQ(store().sweep(lock).removed, Names{".partial-dead"});
  for (const std::string& name : listed()) store().remove_snapshot(lock, name);
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(all(), before);
}

TEST_F(StrangersTest, CannotBeRemovedByName) {
  const std::string before = all();
  const AppLock lock = store().lock();
  for (const fs::path& path : bystanders_)
    EXPECT_EQ(kind_of([&] { store().remove_snapshot(lock, path.filename().string()); }), ErrorKind::kRefused)
        << path;
  for (const char* name : {"", ".", "..", "../outside", "2026-01-01T000000+0000", ".lock"})
    EXPECT_EQ(kind_of([&] { store().remove_snapshot(lock, name); }), ErrorKind::kRefused) << name;
  EXPECT_EQ(all(), before);
}

TEST_F(StrangersTest, AreNeverAmongWhatRetentionRemoves) {
  const std::string before = all();
  for (int day = 0; day < 30; ++day) publish(kNow - day * kDayS, day % 3 ? Verified::kOk : Verified::kFailed);
  const AppLock lock = store().lock();
  std::vector<SnapshotFacts> facts;
  for (const Snapshot& snapshot : store().list().snapshots)
    facts.push_back({snapshot.name, snapshot.time, snapshot.verified, "", false});
  for (const Decision& decision : decide(facts, {7}, kNow))
    if (!decision.keep) store().remove_snapshot(lock, decision.name);
  EXPECT_EQ(listed().size(), 8U);
  EXPECT_EQ(all(), before);
}

// --- removal ---------------------------------------------------------------------------------------------

TEST_F(StoreTest, RemovingOneSnapshotLeavesTheOthersAsTheyWere) {
  const std::string old = publish(kNow - kDayS), kept = publish(kNow);
  const std::string before = fingerprint(app(kept));
  store().remove_snapshot(store().lock(), old);
  EXPECT_EQ(in_app_dir(), (Names{".lock", kept}));
  EXPECT_EQ(fingerprint(app(kept)), before);
}

TEST_F(StoreTest, ALinkInsideASnapshotIsRemovedAndItsTargetIsNot) {
  const std::string name = publish(kNow);
  test::write_file(dir_ / "outside/precious", "precious");
  const std::string before = fingerprint(dir_ / "outside");
  fs::create_directory_symlink(dir_ / "outside", app(name + "/outside"));
  fs::create_symlink(dir_ / "outside/precious", app(name + "/precious"));
  fs::create_symlink("loop", app(name + "/loop"));
  store().remove_snapshot(store().lock(), name);
  EXPECT_EQ(in_app_dir(), Names{".lock"});
  EXPECT_EQ(fingerprint(dir_ / "outside"), before);
}

TEST_F(StoreTest, AReadOnlySnapshotCanBeRemoved) {
  old_script("2019-06-01T020000+0200");
  fs::permissions(app("2019-06-01T020000+0200"), fs::perms::owner_read | fs::perms::owner_exec);
  store().remove_snapshot(store().lock(), "2019-06-01T020000+0200");
  EXPECT_EQ(in_app_dir(), Names{".lock"});
}

TEST_F(StoreTest, ASweepFinishesWhatAKilledRunBegan) {
  const std::string kept = publish(kNow);
  test::write_file(app(".partial-0011223344556677/tenants/a.sqlite3"), "half");
  test::write_file(app(".trash-2020-01-01T000000+0000-0011223344556677/production.sqlite3"), "half gone");
  fs::create_directory(app(".trash-2020-01-02T000000+0000-0011223344556677"));
  const Sweep sweep = store().sweep(store().lock());
  EXPECT_EQ(sweep.removed.size(), 3U);
  EXPECT_TRUE(sweep.left.empty());
  EXPECT_EQ(in_app_dir(), (Names{".lock", kept}));
}

using Seconds = std::chrono::duration<double>;

template <typename Work>
Seconds duration_of(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - start;
}

// Runs `work` in a child and kills it when `delay` has passed since it began, unless it has ended.
template <typename Work>
void run_and_kill(Seconds delay, Work work) {
  const Pipe begun = make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      write_all(begun.write.get(), "b", 1, "the pipe");
      work();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  char byte = 0;
  EXPECT_EQ(::read(begun.read.get(), &byte, 1), 1);
  std::this_thread::sleep_for(delay);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << "failed before it was killed";
}

TEST_F(StoreTest, ARunKilledWhilePublishingLeavesOnlyWholeSnapshots) {
  std::string first;
  const Seconds once = duration_of([&] { first = publish(kNow - kDayS); });  // on a disk however slow
  const std::string before = fingerprint(app(first));
  std::mt19937 random(11);
  std::uniform_real_distribution<double> times(0, 8);
  std::size_t swept = 0;
  for (int round = 0; round < 40; ++round) {
    run_and_kill(once * times(random), [&] {
      for (int i = 0; i < 50; ++i) publish(kNow + round * 100 + i);
    });
    swept += store().sweep(store().lock()).removed.size();
    const Listing listing = store().list();
    ASSERT_TRUE(listing.strangers.empty()) << listing.strangers[0].reason;
    for (const Snapshot& snapshot : listing.snapshots)
      ASSERT_EQ(test::read_file(app(snapshot.name + "/production.sqlite3")),
                "rows of " + std::to_string(snapshot.time.unix_s));
    ASSERT_EQ(in_app_dir().size(), listing.snapshots.size() + 1);  // and .lock
  }
  EXPECT_GT(listed().size(), 1U);
  EXPECT_GT(swept, 0U);  // else no kill hit a run at work
  EXPECT_EQ(fingerprint(app(first)), before);
}

TEST_F(StoreTest, ARunKilledWhileRemovingIsFinishedByTheNext) {
  const std::string kept = publish(kNow);
  const std::string before = fingerprint(app(kept));
  const auto publish_many = [&] {
    const std::string name = publish(kNow - kDayS);
    for (int file = 0; file < 300; ++file)
      test::write_file(app(name + "/tenants/" + std::to_string(file) + ".sqlite3"), "x");
    return name;
  };
  std::string name = publish_many();
  const auto remove = [&] { store().remove_snapshot(store().lock(), name); };
  std::uniform_real_distribution<double> times(0, 1);
  const Seconds whole = duration_of(remove);
  std::mt19937 random(12);
  std::size_t swept = 0;
  for (int round = 0; round < 20; ++round) {
    name = publish_many();
    run_and_kill(whole * times(random), remove);
    if (listed().size() == 2) {  // killed before the first step: whole
      ASSERT_EQ(std::distance(fs::directory_iterator(app(name + "/tenants")), {}), 300);
      store().remove_snapshot(store().lock(), name);
    }
    const Sweep sweep = store().sweep(store().lock());
    EXPECT_TRUE(sweep.left.empty());
    swept += sweep.removed.size();
    ASSERT_EQ(in_app_dir(), (Names{".lock", kept}));
  }
  EXPECT_GT(swept, 0U);
  EXPECT_EQ(fingerprint(app(kept)), before);
}

TEST_F(StoreTest, OnlyRegularFilesOfASnapshotAreOpened) {
  const std::string name = publish(kNow);
  ASSERT_EQ(::mkfifo(app(name + "/pipe.sqlite3").c_str(), 0600), 0);
  fs::create_symlink(app(name + "/production.sqlite3"), app(name + "/link.sqlite3"));
  const Fd dir = store().open_snapshot(name);
  EXPECT_TRUE(open_file(dir.get(), "production.sqlite3", name));
  EXPECT_EQ(kind_of([&] { open_file(dir.get(), "pipe.sqlite3", name); }), ErrorKind::kCorrupt);
  EXPECT_THROW(open_file(dir.get(), "link.sqlite3", name), Error);
  EXPECT_EQ(kind_of([&] { open_file(dir.get(), "../.lock", name); }), ErrorKind::kRefused);
}

}  // namespace
}  // namespace litepull
