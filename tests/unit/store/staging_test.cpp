// How a snapshot is put together, published and left by a run that was interrupted.
#include "client/store/store.h"

#include <gtest/gtest.h>

#include "tests/unit/store/store_fixture.h"

namespace litepull {
namespace {

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

}  // namespace
}  // namespace litepull
