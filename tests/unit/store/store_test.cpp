#include "client/store/store.h"

#include <gtest/gtest.h>

#include "tests/unit/store/store_fixture.h"

namespace litepull {
namespace {

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
