// Storage directories with broken, locked, misleading and moving files beside good ones. The good ones are
// always published, each bad one is named with its reason, and nothing hangs.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr uid_t kAppUser = 1000;
constexpr const char* kGood = "good.sqlite3";
constexpr Milliseconds kPatience{30'000};  // far more than any of this takes

std::string random_bytes(std::size_t size) {
  std::mt19937_64 random(20260101);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() & 0xFF);
  return bytes;
}

// Storage with a good database in it, and a place for a bad one.
class OddStorage : public testing::Test {
 protected:
  OddStorage() { app_.make_bank(kGood, "wal"); }

  std::string path(const std::string& name) const { return app_.in_storage(name); }

  BackupRun pull() {
    const std::string before = listing(app_.storage());
    BackupRun run = app_.backup({}, kPatience);
    EXPECT_EQ(listing(app_.storage()), before);
    EXPECT_EQ(run.exit_code(), 4) << run.words();
    EXPECT_EQ(run.database(kGood)["verified"], "ok") << run.words();
    EXPECT_EQ(check_bank(run.file(kGood), read_ack(app_.ack_path(kGood))).failure, "");
    EXPECT_EQ(app_.snapshots().size(), 1U);
    return run;
  }

  // Pulls; `name` is left out for a reason in which `word` appears, and a person reads the same.
  void expect_left_out(const std::string& name, const std::string& word) {
    const BackupRun run = pull();
    const nlohmann::json& entry = run.database(name);
    ASSERT_TRUE(entry.is_object() && entry["error"].is_object()) << run.words();
    EXPECT_NE(entry["error"]["message"].get<std::string>().find(word), std::string::npos) << run.words();
    EXPECT_NE(entry["error"]["hint"], "") << run.words();
    EXPECT_EQ(entry["verified"], "failed");
    EXPECT_NE(run.process.err.find(name + ": "), std::string::npos) << run.words();
    EXPECT_FALSE(fs::exists(run.file(name)));
  }

  PullFixture app_{Over::kSsh};
};

TEST_F(OddStorage, WithADamagedDatabasePublishesItAndSaysThatItIsDamaged) {
  app_.make_bank("damaged.sqlite3", "delete");
  std::string bytes = file_bytes(path("damaged.sqlite3"));
  ASSERT_GT(bytes.size(), 40'000U);
  for (std::size_t at = 3 * 4096; at < 6 * 4096; at += 64) bytes[at] = static_cast<char>(~bytes[at]);
  write_file(path("damaged.sqlite3"), bytes);

  const BackupRun run = pull();
  const nlohmann::json& entry = run.database("damaged.sqlite3");
  EXPECT_TRUE(entry["error"].is_null()) << run.words();
  EXPECT_EQ(entry["verified"], "failed");
  EXPECT_FALSE(entry["problems"].empty());
  EXPECT_NE(run.process.err.find("damaged.sqlite3"), std::string::npos);
  EXPECT_EQ(file_bytes(run.file("damaged.sqlite3")), bytes) << "it is not what the server has";
}

TEST_F(OddStorage, WithAnEncryptedDatabaseNamesIt) {
  write_file(path("secret.sqlite3"), random_bytes(64 * 1024));
  expect_left_out("secret.sqlite3", "encrypted");
}

TEST_F(OddStorage, WithAnEmptyFileNamesIt) {
  write_file(path("empty.sqlite3"), "");
  expect_left_out("empty.sqlite3", "empty");
}

TEST_F(OddStorage, WithATextFileNamesIt) {
  write_file(path("notes.sqlite3"), "these are no pages\n");
  expect_left_out("notes.sqlite3", "not a SQLite database");
}

TEST_F(OddStorage, WithADatabaseCutShortNamesIt) {
  app_.make_bank("cut.sqlite3", "delete");
  fs::resize_file(path("cut.sqlite3"), fs::file_size(path("cut.sqlite3")) / 2 / 4096 * 4096);
  const BackupRun run = pull();
  const nlohmann::json& entry = run.database("cut.sqlite3");
  EXPECT_EQ(entry["verified"], "failed") << run.words();
  EXPECT_TRUE(entry["error"].is_object() || !entry["problems"].empty()) << run.words();
}

TEST_F(OddStorage, WithAnUnreadableDatabaseNamesIt) {
  app_.make_bank("locked.sqlite3", "delete");
  if (geteuid() == 0) {  // the agent becomes this user, and mode 000 then counts
    ASSERT_EQ(::chown(app_.storage().c_str(), kAppUser, kAppUser), 0);
    for (const auto& entry : fs::directory_iterator(app_.storage()))
      ASSERT_EQ(::chown(entry.path().c_str(), kAppUser, kAppUser), 0);
  }
  fs::permissions(path("locked.sqlite3"), fs::perms::none);
  expect_left_out("locked.sqlite3", "cannot be opened");
}

TEST_F(OddStorage, WithAnotherUsersDatabaseNamesIt) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files to another user";
  app_.make_bank("theirs.sqlite3", "wal");
  app_.make_bank("second.sqlite3", "wal");
  ASSERT_EQ(::chown(app_.storage().c_str(), kAppUser, kAppUser), 0);
  for (const char* name : {kGood, "second.sqlite3"})
    ASSERT_EQ(::chown(path(name).c_str(), kAppUser, kAppUser), 0);
  expect_left_out("theirs.sqlite3", "belongs to user 0");
}

TEST_F(OddStorage, WithAFifoDoesNotHang) {
  ASSERT_EQ(::mkfifo(path("pipe.sqlite3").c_str(), 0600), 0);
  expect_left_out("pipe.sqlite3", "not a regular file");
}

TEST_F(OddStorage, WithASymlinkOutOfItDoesNotFollowIt) {
  fs::copy_file(path(kGood), app_.scratch("elsewhere.sqlite3"));
  fs::create_symlink(app_.scratch("elsewhere.sqlite3"), path("link.sqlite3"));
  expect_left_out("link.sqlite3", "symbolic link");
}

TEST_F(OddStorage, WithALinkLoopDoesNotHang) {
  fs::create_symlink(path("loop.sqlite3"), path("loop.sqlite3"));
  expect_left_out("loop.sqlite3", "symbolic link");
}

TEST_F(OddStorage, WithAFileOfTwoNamesNamesIt) {
  app_.make_bank("twice.sqlite3", "wal");
  fs::create_hard_link(path("twice.sqlite3"), app_.scratch("second-name"));
  expect_left_out("twice.sqlite3", "second hard link");
}

TEST_F(OddStorage, WithNamesThatAreNoTextNamesThemSafely) {
  fs::copy_file(path(kGood), path("\x1B[31mred\n.sqlite3"));
  fs::copy_file(path(kGood), path("latin\xE9.sqlite3"));
  const BackupRun run = pull();
  ASSERT_EQ(run.json["databases"].size(), 3U) << run.words();
  for (const auto& entry : run.json["databases"])
    EXPECT_EQ(entry["error"].is_null(), entry["name"] == kGood) << run.words();
  EXPECT_EQ(run.process.err.find('\x1B'), std::string::npos);
  EXPECT_EQ(run.process.out.find('\x1B'), std::string::npos);
}

// All at once: one bad file does not hide another.
TEST_F(OddStorage, WithEverythingAtOnceNamesEachAndPublishesTheGood) {
  app_.make_bank("also-good.sqlite3", "delete");
  write_file(path("secret.sqlite3"), random_bytes(64 * 1024));
  write_file(path("empty.sqlite3"), "");
  ASSERT_EQ(::mkfifo(path("pipe.sqlite3").c_str(), 0600), 0);
  fs::create_symlink("/etc/passwd", path("link.sqlite3"));
  fs::create_directory(
      path("directory.sqlite3"));  // descended into where DATABASES says so, never a database
  const BackupRun run = pull();
  EXPECT_EQ(run.database("also-good.sqlite3")["verified"], "ok");
  for (const char* name : {"secret.sqlite3", "empty.sqlite3", "pipe.sqlite3", "link.sqlite3"})
    EXPECT_TRUE(run.database(name)["error"].is_object()) << name << run.words();
  EXPECT_EQ(run.json["databases"].size(), 6U) << run.words();
}

TEST(StorageWithoutAGoodDatabase, PublishesNothing) {
  PullFixture app(Over::kSsh);
  write_file(app.in_storage("empty.sqlite3"), "");
  const BackupRun run = app.backup({}, kPatience);
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_EQ(run.snapshot(), "");
  EXPECT_TRUE(app.snapshots().empty());
  EXPECT_NE(run.process.err.find("empty.sqlite3"), std::string::npos) << run.words();
}

// --- Many damaged databases ---

// A collection that lies beside the source tree where the project is developed.
fs::path corpus() {
  return fs::path(__FILE__).parent_path() / "../../../shared/corpus/corrupt-databases.tar.zst";
}

bool is_sound(const std::string& path) {
  try {
    return ScratchCopy(path).text("PRAGMA integrity_check") == "ok";
  } catch (const SQLite::Exception&) {
    return false;
  }
}

TEST(CorruptDatabases, AreNeverPassedAsGood) {
  if (!fs::exists(corpus())) GTEST_SKIP() << "there is no " << corpus();
  PullFixture app(Over::kSsh);
  app.set("DATABASES", "**/*.sqlite3");
  app.make_bank(kGood, "wal");
  if (!run({"tar", "--zstd", "-xf", corpus().string(), "-C", app.storage()}).ok())
    GTEST_SKIP() << "tar cannot read zstd here";
  const std::string before = listing(app.storage());
  const BackupRun run = app.backup({}, Milliseconds(300'000));
  EXPECT_EQ(listing(app.storage()), before);
  ASSERT_EQ(run.exit_code(), 4) << run.words();
  std::set<std::string> named;
  int sound = 0, in_part = 0, damaged = 0, left_out = 0;
  for (const auto& entry : run.json["databases"]) {
    const std::string name = entry["name"];
    named.insert(name);
    if (entry["error"].is_object()) {
      ++left_out;
      EXPECT_NE(entry["error"]["message"], "") << name;
      EXPECT_FALSE(fs::exists(run.file(name))) << name;
      continue;
    }
    const bool passed = entry["verified"] == "ok";
    ++(passed ? sound : damaged);
    in_part += passed && !entry["unchecked"].empty();
    EXPECT_EQ(passed, is_sound(run.file(name))) << name;
    EXPECT_EQ(passed, entry["problems"].empty()) << name;
  }
  EXPECT_EQ(run.database(kGood)["verified"], "ok");
  for (const auto& entry : fs::recursive_directory_iterator(app.storage())) {
    const std::string name = entry.path().lexically_relative(app.storage()).string();
    EXPECT_EQ(named.contains(name), name.ends_with(".sqlite3") && entry.is_regular_file()) << name;
  }
  EXPECT_LE(in_part, 1);  // the module of a virtual table has another name by now; all else of it is sound
  std::printf("corpus: %d sound (%d as far as it could be checked), %d copied and damaged, %d left out\n",
              sound, in_part, damaged, left_out);
}

// --- Moving files ---

// Puts a database in place and takes it away again, as fast as it can.
class Juggler {
 public:
  Juggler(std::string original, std::string place)
      : original_(std::move(original)), place_(std::move(place)), thread_([this] { juggle(); }) {}
  ~Juggler() {
    stop_ = true;
    thread_.join();
  }

 private:
  void juggle() {
    for (int turn = 0; !stop_; ++turn) {
      fs::copy_file(original_, place_ + ".new");
      fs::rename(place_ + ".new", place_);
      pause_for(Milliseconds(turn % 3));
      if (turn % 2 == 0) fs::remove(place_);
      pause_for(Milliseconds(turn % 2));
    }
  }

  const std::string original_, place_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(OddStorage, WithADatabaseThatComesAndGoesIsPulledAllTheSame) {
  app_.make_bank("original", "delete");
  fs::rename(path("original"), app_.scratch("original"));
  const Juggler juggler(app_.scratch("original"), path("victim.sqlite3"));
  for (int i = 0; i < rounds(8, 50); ++i) {
    const BackupRun run = app_.backup({}, kPatience);
    ASSERT_TRUE(run.exit_code() == 0 || run.exit_code() == 4) << run.words();
    EXPECT_EQ(run.database(kGood)["verified"], "ok") << run.words();
    const nlohmann::json& victim = run.database("victim.sqlite3");
    if (victim.is_null()) continue;  // it was not there
    if (victim["error"].is_object())
      EXPECT_NE(victim["error"]["message"], "") << run.words();
    else
      EXPECT_EQ(check_bank(run.file("victim.sqlite3"), 1).failure, "") << run.words();
  }
  EXPECT_TRUE(eventually([&] { return app_.sshd().remote_pids().empty(); })) << "an agent was left running";
}

// An app was stopped, its database is being pulled, and meanwhile another one is put in its place and
// started.
TEST(DatabaseReplacedDuringThePull, KeepsItsWalAndEveryCommit) {
  PullFixture app(Over::kSsh);
  const std::string place = app.in_storage("app.sqlite3"), next = app.in_storage("next.db");
  app.make_bank("app.sqlite3", "wal", {"--accounts=150000"});  // 20 MB: more than the agent keeps in memory
  const std::uint64_t old_commits = read_ack(app.ack_path("app.sqlite3"));
  app.make_bank("next.db", "wal");
  ASSERT_EQ(app.backup({"--verify=none"}).exit_code(), 0);  // the agent is uploaded at full speed
  TcpProxy slow(app.sshd().port());
  slow.set_rate(2 << 20);
  app.reach_through(slow.port());

  Child pull = app.start_backup({"--full"});
  ASSERT_TRUE(eventually([&] { return fs::exists(place + "-shm") && slow.bytes_down() > (1 << 20); }));
  fs::rename(next, place);
  fs::remove(place + "-wal");
  fs::remove(place + "-shm");
  Child writer = app.start_bank("app.sqlite3", "wal", {"--wal-autocheckpoint=0", "--rate=100"});
  slow.set_rate(0);
  const BackupRun run = app.finish_backup(pull, kPatience);
  ASSERT_TRUE(run.exit_code() == 0 || run.exit_code() == 4 || run.exit_code() == 1) << run.words();
  if (!run.snapshot().empty()) {
    EXPECT_EQ(check_bank(run.file("app.sqlite3"), old_commits).failure, "") << run.words();
  }
  ASSERT_TRUE(eventually([&] { return app.sshd().remote_pids().empty(); })) << "the agent is left running";

  const std::uint64_t acknowledged = read_ack(app.ack_path("app.sqlite3"));
  writer.kill(SIGKILL);
  writer.wait(kPatience);
  EXPECT_EQ(check_bank(place, acknowledged).failure, "");
}

}  // namespace
}  // namespace litepull::test
