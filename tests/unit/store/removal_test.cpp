// Which snapshots are removed, which entries never are, and what a run that is killed meanwhile leaves.
#include "client/store/store.h"

#include <gtest/gtest.h>

#include "tests/unit/store/store_fixture.h"

namespace litepull {
namespace {

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

    // These are not touched either: they have no snapshot's name, or they are no directory that a sweep
    // removes.
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

}  // namespace
}  // namespace litepull
