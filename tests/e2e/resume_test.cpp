// A pull that was interrupted is run again. It does not send twice what had arrived, treats what is left
// only as bytes, and publishes nothing that differs from the server.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "tests/support/delta_helpers.h"
#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLarge = "large.sqlite3";
constexpr const char* kSmall = "small.sqlite3";
constexpr double kMostInAll = 1.1;  // times the bytes of a pull that was not cut
constexpr int kLargeRows = 7'000;   // of a page each

std::vector<std::string> partials(const PullFixture& app) {
  std::vector<std::string> names;
  for (const std::string& name : app.strangers())
    if (name.starts_with(".partial-")) names.push_back(name);
  return names;
}

class Resume : public testing::Test {
 protected:
  Resume() : app_(Over::kSsh), proxy_(app_.sshd().port()) {
    app_.reach_through(proxy_.port());
    make_rows(app_.in_storage(kLarge), kLargeRows, 4'000);
    make_rows(app_.in_storage(kSmall), 100, 4'000);
    EXPECT_EQ(pull(app_).exit_code(), 0);  // uploads the agent
    const std::uint64_t before = proxy_.bytes_down();
    EXPECT_EQ(pull(app_, {"--full"}).exit_code(), 0);
    uncut_bytes_ = proxy_.bytes_down() - before;
    keep_snapshot(app_);
    start_bytes_ = proxy_.bytes_down();
  }

  std::uint64_t share(int percent) const { return uncut_bytes_ * static_cast<unsigned>(percent) / 100; }

  double bytes_in_all() const {
    return static_cast<double>(proxy_.bytes_down() - start_bytes_) / static_cast<double>(uncut_bytes_);
  }

  // Cut once `bytes` more have come: nothing is published, and what came is kept out of sight.
  void pull_cut_after(std::uint64_t bytes) {
    const std::vector<std::string> before = app_.snapshots();
    proxy_.cut_after(bytes, CutMode::kFin);
    const BackupRun run = pull(app_);
    EXPECT_TRUE(proxy_.was_cut());
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_EQ(app_.snapshots(), before);
    expect_hidden_partial();
  }

  void expect_hidden_partial() const {
    EXPECT_EQ(partials(app_).size(), 1U);
    const ProcessResult list = app_.litepull({"list"}), json = app_.litepull({"list", "--json"});
    EXPECT_EQ(list.status.code, 0) << list.err;
    for (const std::string& said : {list.out, list.err, json.out, json.err})
      EXPECT_EQ(said.find(".partial"), std::string::npos) << said;
  }

  BackupRun pull_rightly() {
    BackupRun run = pull(app_);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.process.err, "");
    if (run.snapshot().empty()) return run;
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(why_hashes_do_not_fit(run.snapshot()), "");
    for (const char* name : {kLarge, kSmall}) EXPECT_EQ(why_not_equal(run.file(name), in_one_file(name)), "");
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
    return run;
  }

  // What the server has. While an agent is there that has not yet found out that its client is gone, a change
  // stays in the log.
  std::string in_one_file(const std::string& name) const {
    const std::string path = app_.in_storage(name);
    if (!fs::exists(path + "-wal")) return path;
    std::string copy = app_.scratch("whole-" + name);
    for (const char* ending : {"", "-wal"})
      fs::copy_file(path + ending, copy + ending, fs::copy_options::overwrite_existing);
    SQLite::Database(copy, SQLite::OPEN_READWRITE).exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return copy;
  }

  std::mt19937_64 random_{test_seed()};
  PullFixture app_;
  TcpProxy proxy_;
  std::uint64_t uncut_bytes_ = 0, start_bytes_ = 0;
};

TEST_F(Resume, OfACutPullSendsOnlyWhatHadNotCome) {
  for (const int percent : {10, 50, 90}) {
    SCOPED_TRACE("cut at " + std::to_string(percent) + " percent");
    start_bytes_ = proxy_.bytes_down();
    pull_cut_after(share(percent));
    pull_rightly();
    std::printf("  cut at %d percent: %.3f times the bytes\n", percent, bytes_in_all());
    EXPECT_LE(bytes_in_all(), kMostInAll);
    keep_snapshot(app_);
  }
}

TEST_F(Resume, OfAPullThatWasCutTwiceSendsOnlyWhatHadNotCome) {
  pull_cut_after(share(35));
  pull_cut_after(share(35));
  pull_rightly();
  std::printf("  cut twice: %.3f times the bytes\n", bytes_in_all());
  EXPECT_LE(bytes_in_all(), kMostInAll);
}

// What the killed client had in its hands and not yet written is sent again: 4 MiB at most of the file, and
// what the connection held.
TEST_F(Resume, OfAClientThatWasKilledSendsAFewMegabytesAgainAtMost) {
  constexpr std::uint64_t kInHands = (4 << 20) + (2 << 20);
  proxy_.set_rate(15'000'000);
  Child client = app_.start_backup({"--verify=none"});
  ASSERT_TRUE(eventually([&] { return proxy_.bytes_down() - start_bytes_ >= share(50); }));
  client.kill(SIGKILL);
  EXPECT_EQ(app_.finish_backup(client).process.status.signal, SIGKILL);
  EXPECT_TRUE(app_.snapshots().empty());
  expect_hidden_partial();
  proxy_.set_rate(0);
  pull_rightly();
  std::printf("  killed at half: %.3f times the bytes\n", bytes_in_all());
  EXPECT_LE(proxy_.bytes_down() - start_bytes_, uncut_bytes_ + kInHands);
}

TEST_F(Resume, OutlivesATryThatDoesNotReachTheServer) {
  pull_cut_after(share(70));
  const ClosedPort nobody;
  app_.set("SERVER_PORT", std::to_string(nobody.port()));
  EXPECT_EQ(pull(app_).exit_code(), 3);
  expect_hidden_partial();
  app_.reach_through(proxy_.port());
  start_bytes_ = proxy_.bytes_down();
  pull_rightly();
  EXPECT_LE(bytes_in_all(), kMostInAll - 0.65);
}

TEST_F(Resume, AfterTheDatabaseHasChangedIsTheNewState) {
  for (const int percent : {30, 80}) {
    SCOPED_TRACE("cut at " + std::to_string(percent) + " percent");
    pull_cut_after(share(percent));
    change_rows(app_.in_storage(kLarge), 50, random_);
    change_rows(app_.in_storage(kSmall), 5, random_);
    start_bytes_ = proxy_.bytes_down();
    pull_rightly();
    EXPECT_LE(bytes_in_all(), kMostInAll + 0.05 - percent / 100.0);
    keep_snapshot(app_);
  }
}

TEST_F(Resume, AfterTheDatabaseBecameAnotherIsTheOther) {
  const std::string path = app_.in_storage(kLarge);
  for (const int page_size : {4096, 1024, 65536}) {
    SCOPED_TRACE(page_size);
    pull_cut_after(share(20));
    fs::remove(path);
    {
      SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("PRAGMA page_size=" + std::to_string(page_size));
    }
    make_rows(path, kLargeRows / 2, 3'000, page_size == 4096 ? "delete" : "wal");
    pull_rightly();
    keep_snapshot(app_);
  }
}

TEST_F(Resume, IsNotForAFullPull) {
  pull_cut_after(share(70));
  start_bytes_ = proxy_.bytes_down();
  const BackupRun run = pull(app_, {"--full"});
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_GT(bytes_in_all(), 0.98);
  EXPECT_EQ(why_not_equal(run.file(kLarge), app_.in_storage(kLarge)), "");
  EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
}

// Half of the pages differ from the base; the cut is in the midst of them. What came is gone on with, and
// beyond it the base is still the base.
TEST_F(Resume, OfACutDeltaSendsOnlyWhatHadNotComeToo) {
  const BackupRun first = pull_rightly();
  make_older(first.snapshot());
  change_range(app_.in_storage(kLarge), kLargeRows / 4, 3 * kLargeRows / 4);
  const std::uint64_t changed_bytes = share(50);
  for (const int percent : {30, 60}) {
    SCOPED_TRACE("cut at " + std::to_string(percent) + " percent of what differs");
    start_bytes_ = proxy_.bytes_down();
    proxy_.set_rate(10'000'000);
    pull_cut_after(changed_bytes * static_cast<unsigned>(percent) / 100);
    proxy_.set_rate(0);
    pull_rightly();
    std::printf("  cut at %d percent: %.3f times the bytes\n", percent, 2 * bytes_in_all());
    EXPECT_LE(2 * bytes_in_all(), kMostInAll);
    keep_snapshot(app_, app_.snapshots().front());
  }
}

TEST_F(Resume, OfADeltaAfterAKillIsRight) {
  const BackupRun first = pull_rightly();
  make_older(first.snapshot());
  for (int i = 0; i < rounds(2, 20) && !HasFailure(); ++i) {
    change_rows(app_.in_storage(kLarge), 3'000, random_);
    proxy_.set_rate(10'000'000);
    const std::uint64_t before = proxy_.bytes_down();
    const std::uint64_t moment = pick<std::uint64_t>(random_, 0, share(35));
    Child client = app_.start_backup({"--verify=none"});
    EXPECT_TRUE(eventually([&] { return proxy_.bytes_down() - before >= moment || !client.running(); }));
    if (client.running()) client.kill(SIGKILL);
    app_.finish_backup(client);
    if (i % 2 == 0) change_rows(app_.in_storage(kLarge), 100, random_);
    proxy_.set_rate(0);
    for (const std::string& path : app_.snapshots()) EXPECT_EQ(why_not_whole(path), "");
    make_older(pull_rightly().snapshot());
    keep_snapshot(app_, app_.snapshots().back());
  }
}

// --- what else may be in such a directory ----------------------------------------------------------------

class LeftBehind : public testing::Test {
 protected:
  LeftBehind() {
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directory(app_.in_storage("tenants"));
    make_rows(app_.in_storage("main.sqlite3"), 600, 4'000);
    make_rows(app_.in_storage("tenants/a.sqlite3"), 300, 4'000);
    fs::create_directories(app_.app_directory());
    fs::permissions(app_.app_directory(), fs::perms::owner_all);
    fs::create_directory(outside_);
    write_file(outside_ + "/precious", std::string(3'000'000, 'p'));
    make_rows(outside_ + "/other.sqlite3", 700, 4'000);
    fs::create_directory(outside_ + "/dir");
    write_file(outside_ + "/dir/a.sqlite3", "not to be touched");
    make_partial(".partial-00112233445566aa");
  }

  void make_partial(const std::string& name) {
    partial_ = app_.app_directory() + "/" + name;
    fs::create_directory(partial_);
    fs::permissions(partial_, fs::perms::owner_all);
  }

  std::string in_partial(const std::string& name) const { return partial_ + "/" + name; }

  std::string state_outside() const {
    std::string state;
    for (const auto& entry : fs::recursive_directory_iterator(outside_)) {
      struct stat info {};
      ::lstat(entry.path().c_str(), &info);
      state += entry.path().string() + " " + std::to_string(info.st_mode) + " " + std::to_string(info.st_ino);
      if (entry.is_regular_file()) state += " " + xxh128_of(entry.path().string());
      state += "\n";
    }
    return state;
  }

  // The snapshot holds what the server has, and no name more.
  void expect_only_the_servers(const BackupRun& run) const {
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    for (const char* name : {"main.sqlite3", "tenants/a.sqlite3"}) {
      EXPECT_EQ(why_not_equal(run.file(name), app_.in_storage(name)), "");
      struct stat info {};
      ASSERT_EQ(::lstat(run.file(name).c_str(), &info), 0);
      EXPECT_TRUE(S_ISREG(info.st_mode));
      EXPECT_EQ(info.st_nlink, 1U);
      EXPECT_EQ(info.st_mode & 07777U, 0600U) << name;
    }
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(run.snapshot()))
      names.push_back(entry.path().lexically_relative(run.snapshot()).string());
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{".hashes", ".hashes/main.sqlite3", ".hashes/tenants",
                                               ".hashes/tenants/a.sqlite3", "main.sqlite3", "manifest.json",
                                               "tenants", "tenants/a.sqlite3"}));
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
  }

  PullFixture app_{Over::kLocal};
  const std::string outside_ = app_.scratch("outside");
  std::string partial_;
};

TEST_F(LeftBehind, DatabasesThatTheServerHasNoMoreAreNotPublished) {
  for (const char* name :
       {"gone.sqlite3", "old/gone.sqlite3", "old/deep/er/gone.sqlite3", "tenants/b.sqlite3"}) {
    fs::create_directories(fs::path(in_partial(name)).parent_path());
    make_rows(in_partial(name), 10, 4'000);
  }
  fs::copy_file(app_.in_storage("main.sqlite3"), in_partial("main.sqlite3"));
  fs::permissions(in_partial("main.sqlite3"), fs::perms(0600));
  const BackupRun run = pull(app_);
  expect_only_the_servers(run);
  EXPECT_EQ(run.database("main.sqlite3")["changed_pages"], 0);
}

TEST_F(LeftBehind, GarbageIsNotPublished) {
  write_file(in_partial("notes.txt"), "notes");
  write_file(in_partial("manifest.json"), "{\"format\": 1}");
  write_file(in_partial(".manifest.json.new"), "{");
  write_file(in_partial("main.sqlite3-wal"), std::string(100'000, 'w'));
  write_file(in_partial("main.sqlite3-journal"), std::string(100'000, 'j'));
  write_file(in_partial(".hashes/main.sqlite3"), "LPHASHES");
  write_file(in_partial(".hashes/evil"), "x");
  write_file(in_partial("tenants/.hashes/a.sqlite3"), "x");
  write_file(in_partial("tenants/\xff\xfe.sqlite3"), "no UTF-8");
  write_file(in_partial("line\nbreak.sqlite3"), "x");
  ASSERT_EQ(::mkfifo(in_partial("fifo.sqlite3").c_str(), 0600), 0);
  // And in the databases' own places.
  write_file(in_partial("main.sqlite3"), std::string(5'000'000, 'x'));
  write_file(in_partial("tenants/a.sqlite3"), std::string(123, '\0'));
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, EmptyDirectoriesAreNotPublished) {
  fs::create_directories(in_partial("old/deep"));
  fs::create_directories(in_partial("tenants/b"));
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, ADirectoryInADatabasesPlaceDoesNotStopThePull) {
  fs::create_directories(in_partial("main.sqlite3"));
  // Enough of it to be kept again when the run fails.
  fs::create_directories(in_partial("tenants"));
  fs::copy_file(app_.in_storage("tenants/a.sqlite3"), in_partial("tenants/a.sqlite3"));
  fs::permissions(in_partial("tenants/a.sqlite3"), fs::perms(0600));
  EXPECT_EQ(pull(app_).exit_code(), 0);
  keep_snapshot(app_);
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, AFileInADirectorysPlaceDoesNotStopThePull) {
  write_file(in_partial("tenants"), std::string(2'000'000, 't'));
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, AFileInADirectorysPlaceDoesNotStopThePullWithABase) {
  fs::remove(partial_);
  const BackupRun first = pull(app_);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  make_older(first.snapshot());
  make_partial(".partial-00112233445566bb");
  write_file(in_partial("tenants"), std::string(2'000'000, 't'));
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, LinksAreNeitherFollowedNorPublished) {
  const std::string before = state_outside();
  fs::create_symlink(outside_ + "/precious", in_partial("main.sqlite3"));
  fs::create_directory_symlink(outside_ + "/dir", in_partial("tenants"));
  fs::create_symlink(outside_ + "/precious", in_partial("link.sqlite3"));
  fs::create_directory_symlink(outside_, in_partial(".hashes"));
  expect_only_the_servers(pull(app_));
  EXPECT_EQ(state_outside(), before);
}

TEST_F(LeftBehind, HardLinksAreNotWrittenTo) {
  const std::string before = state_outside();
  fs::create_hard_link(outside_ + "/other.sqlite3", in_partial("main.sqlite3"));
  fs::create_directory(in_partial("tenants"));
  fs::create_hard_link(outside_ + "/precious", in_partial("tenants/a.sqlite3"));
  fs::create_hard_link(outside_ + "/precious", in_partial("gone.sqlite3"));
  expect_only_the_servers(pull(app_));
  EXPECT_EQ(state_outside(), before);
}

TEST_F(LeftBehind, ADirectoryThatIsALinkIsNotGoneOnWith) {
  fs::remove(partial_);
  const std::string before = state_outside();
  fs::create_directory_symlink(outside_, partial_);
  const BackupRun run = pull(app_);
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(state_outside(), before);
  EXPECT_TRUE(fs::is_symlink(partial_)) << "it is somebody else's";
  fs::remove(partial_);
  expect_only_the_servers(run);
}

TEST_F(LeftBehind, FilesThatOthersMayReadArePublishedForTheOwnerOnly) {
  fs::copy_file(app_.in_storage("main.sqlite3"), in_partial("main.sqlite3"));
  fs::permissions(in_partial("main.sqlite3"), fs::perms(0644));
  expect_only_the_servers(pull(app_));
}

TEST_F(LeftBehind, OnlyTheNewestOfSeveralIsGoneOnWithAndAllAreRemoved) {
  write_file(in_partial("main.sqlite3"), std::string(2'000'000, 'x'));
  const std::string old = partial_;
  make_partial(".partial-00112233445566bb");
  fs::copy_file(app_.in_storage("main.sqlite3"), in_partial("main.sqlite3"));
  fs::permissions(in_partial("main.sqlite3"), fs::perms(0600));
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(1));
  const BackupRun run = pull(app_);
  expect_only_the_servers(run);
  EXPECT_EQ(run.database("main.sqlite3")["changed_pages"], 0);
}

}  // namespace
}  // namespace litepull::test
