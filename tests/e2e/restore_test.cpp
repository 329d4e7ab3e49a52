// What a user at the worst hour relies on: restored files are the snapshot's, proven, an app can go on with
// them at once, and whatever goes wrong on the way, nothing that was there is lost.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMain = "production.sqlite3";
constexpr const char* kTenant = "tenants/a.sqlite3";
constexpr const char* kOldScriptName = "2024-05-01T020000+0200";
const std::vector<std::string> kSidecars{"-wal", "-shm", "-journal"};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string words(const ProcessResult& result) {
  return "exit code " + std::to_string(result.status.code) + "\n" + result.out + result.err;
}

nlohmann::json json_of(const ProcessResult& result) {
  return nlohmann::json::parse(result.out, nullptr, false);
}

std::int64_t counter_of(const std::string& path) {
  ScratchCopy copy(path);
  return copy.number("SELECT counter FROM totals");
}

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

class Restore : public testing::Test {
 protected:
  Restore() : app_(Over::kLocal) {
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directory(app_.in_storage("tenants"));
  }

  void make_banks() {
    app_.make_bank(kMain, "wal", {"--accounts=100"});
    app_.make_bank(kTenant, "delete", {"--accounts=20"});
  }

  std::string pull(const std::vector<std::string>& arguments = {}) {
    const BackupRun run = app_.backup(arguments);
    EXPECT_NE(run.snapshot(), "") << run.words();
    return run.snapshot();
  }

  std::vector<std::string> argv(const std::string& word, const std::string& directory,
                                const std::vector<std::string>& more) const {
    std::vector<std::string> all{
        built_program("litepull"), "restore", app_.config_path(), word, "--to", directory, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProcessResult restore(const std::string& word, const std::string& directory,
                        const std::vector<std::string>& more = {}) const {
    return run(argv(word, directory, more));
  }

  void expect_restored(const ProcessResult& result, const std::string& snapshot,
                       const std::string& directory) const {
    EXPECT_EQ(result.status.code, 0) << words(result);
    for (const std::string name : {kMain, kTenant})
      EXPECT_EQ(xxh128_of(directory + "/" + name), xxh128_of(snapshot + "/" + name)) << name;
  }

  // Another bank, whose app was killed: what it committed last is in the WAL alone.
  void make_old_bank(const std::string& path, const std::string& mode = "wal") const {
    Child writer({built_program("bank_writer"), path, mode, "--accounts=50", "--wal-autocheckpoint=0",
                  "--ack", app_.scratch("old.ack")});
    EXPECT_TRUE(writer.read_line(Milliseconds(30'000)));
    writer.kill(SIGKILL);
    writer.wait(Milliseconds(10'000));
  }

  // A directory of an app with both databases, the first with a WAL.
  std::string make_old_directory() const {
    const std::string directory = app_.scratch("old");
    fs::create_directories(directory + "/tenants");
    make_old_bank(directory + "/" + kMain);
    make_old_bank(directory + "/" + std::string(kTenant), "delete");
    write_file(directory + "/upload.bin", "not a database");
    EXPECT_TRUE(fs::exists(directory + "/" + kMain + "-wal"));
    return directory;
  }

  std::string target() const { return app_.scratch("restored"); }

  PullFixture app_;
};

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

// --- a directory that is there ---------------------------------------------------------------------------

class RestoreOver : public Restore {
 protected:
  RestoreOver() {
    make_banks();
    snapshot_ = pull();
    old_ = make_old_directory();
    reset();
  }

  void reset() {
    fs::remove_all(target());
    fs::copy(old_, target(), fs::copy_options::recursive);
    before_ = listing_of_contents();
  }

  // Names and contents of all that is not ours.
  std::map<std::string, std::string> listing_of_contents() const {
    std::map<std::string, std::string> contents;
    for (const auto& entry : fs::recursive_directory_iterator(target())) {
      const std::string name = entry.path().lexically_relative(target()).string();
      if (entry.is_regular_file() && !name.starts_with(".litepull")) contents[name] = read_file(entry.path());
    }
    return contents;
  }

  std::vector<std::string> hidden() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(target()))
      if (entry.path().filename().string().starts_with(".")) paths.push_back(entry.path());
    return paths;
  }

  std::optional<std::string> content_of(const std::string& path) const {
    if (!fs::exists(path)) return std::nullopt;
    return read_file(path);
  }

  bool group_is_old_in(const std::string& directory, const std::string& database) const {
    bool same = true;
    for (const char* ending : {"", "-wal", "-shm", "-journal"})
      same = same &&
             content_of(directory + "/" + database + ending) == content_of(old_ + "/" + database + ending);
    return same;
  }

  bool is_new(const std::string& database) const {
    return content_of(target() + "/" + database) == content_of(snapshot_ + "/" + database);
  }

  bool has_sidecars(const std::string& database) const {
    return std::any_of(kSidecars.begin(), kSidecars.end(), [&](const std::string& ending) {
      return fs::exists(target() + "/" + database + ending);
    });
  }

  bool is_kept_whole(const std::string& database) const {
    const auto paths = hidden();
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return group_is_old_in(path + "/old", database); });
  }

  void expect_only_new() const {
    for (const std::string database : {kMain, kTenant}) {
      EXPECT_TRUE(is_new(database)) << database;
      EXPECT_FALSE(has_sidecars(database)) << database;
    }
    EXPECT_EQ(read_file(target() + "/upload.bin"), "not a database");
  }

  std::string snapshot_, old_;
  std::map<std::string, std::string> before_;
};

TEST_F(RestoreOver, NothingIsOverwrittenWithoutForce) {
  const ProcessResult result = restore("latest", target());
  EXPECT_EQ(result.status.code, 1) << words(result);
  EXPECT_TRUE(contains(result.err, std::string(kMain) + "-wal") && contains(result.err, kTenant))
      << words(result);
  EXPECT_TRUE(contains(result.err, "--force")) << words(result);
  EXPECT_EQ(listing_of_contents(), before_);
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, StaleSidecarAloneIsInTheWayToo) {
  for (const std::string& ending : kSidecars) {
    fs::remove_all(target());
    write_file(target() + "/" + kMain + ending, "stale");
    const ProcessResult refused = restore("latest", target());
    EXPECT_EQ(refused.status.code, 1) << words(refused);
    EXPECT_TRUE(contains(refused.err, kMain + ending)) << words(refused);
    EXPECT_EQ(read_file(target() + "/" + kMain + ending), "stale");
    expect_restored(restore("latest", target(), {"--force"}), snapshot_, target());
    EXPECT_FALSE(has_sidecars(kMain));
  }
}

TEST_F(RestoreOver, ForceReplacesDatabasesWithTheirSidecarsAndNothingElse) {
  const ProcessResult result = restore("latest", target(), {"--force"});
  expect_restored(result, snapshot_, target());
  EXPECT_EQ(json_of(result)["databases"][0]["replaced"], true);
  expect_only_new();
  EXPECT_TRUE(hidden().empty());
  EXPECT_EQ(counter_of(target() + "/" + kMain), counter_of(snapshot_ + "/" + kMain));
}

TEST_F(RestoreOver, DirectoryWithOtherFilesTakesDatabasesBesideThem) {
  fs::remove_all(target());
  write_file(target() + "/upload.bin", "not a database");
  expect_restored(restore("latest", target()), snapshot_, target());
  expect_only_new();
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, ReplacedFileKeepsItsOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(::chown((target() + "/" + kMain).c_str(), 65534, 65534), 0);
  EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
  struct stat info {};
  ASSERT_EQ(::stat((target() + "/" + kMain).c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 65534U);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(RestoreOver, LinksAreRefusedAndNotFollowed) {
  const std::string elsewhere = app_.scratch("elsewhere");
  fs::rename(target(), elsewhere);
  const std::string before = fingerprint(elsewhere);
  fs::create_directories(target());
  fs::create_symlink(elsewhere + "/" + kMain, target() + "/" + kMain);
  fs::create_directory_symlink(elsewhere + "/tenants", target() + "/tenants");
  for (const std::string database : {kMain, kTenant}) {
    const ProcessResult result = restore("latest", target(), {"--force", "--database", database});
    EXPECT_EQ(result.status.code, 1) << words(result);
  }
  EXPECT_EQ(fingerprint(elsewhere), before);
  EXPECT_TRUE(fs::is_symlink(target() + "/" + kMain));
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, DatabaseThatIsInUseIsNotReplaced) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string file = target() + "/" + kMain;
    Child writer({built_program("bank_writer"), file, mode, "--rate=5"});
    ASSERT_TRUE(writer.read_line(Milliseconds(30'000)));
    const ProcessResult result = restore("latest", target(), {"--force"});
    EXPECT_EQ(result.status.code, 1) << mode << words(result);
    EXPECT_TRUE(contains(result.err, "process " + std::to_string(writer.pid()))) << words(result);
    writer.stop();
    EXPECT_EQ(check_bank(file, 0).failure, "") << mode;
    EXPECT_EQ(listing_of_contents()[kTenant], before_[kTenant]);
  }
  EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
}

TEST_F(RestoreOver, OneAtATimeWorksInADirectory) {
  const Fd held = open_path(target(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  const ProcessResult result = restore("latest", target(), {"--force"});
  EXPECT_EQ(result.status.code, 5) << words(result);
  EXPECT_EQ(listing_of_contents(), before_);
}

TEST_F(RestoreOver, TwoAtOnceLeaveOneWholeResult) {
  for (int round = 0; round < rounds(4, 40); ++round) {
    const bool there = round % 2 == 0;
    reset();
    if (!there) fs::remove_all(target());
    StartOptions quiet;
    quiet.stdout_path = quiet.stderr_path = app_.scratch("both.out");
    Child first(argv("latest", target(), {"--force"}), quiet),
        second(argv("latest", target(), {"--force"}), quiet);
    const int codes[] = {first.wait(Milliseconds(60'000))->code, second.wait(Milliseconds(60'000))->code};
    EXPECT_TRUE(codes[0] == 0 || codes[1] == 0) << codes[0] << " " << codes[1];
    for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
    EXPECT_TRUE(hidden().empty());
  }
}

// --- killed at any step ----------------------------------------------------------------------------------

bool strace_works() {
  try {
    return run({"strace", "-o", "/dev/null", "true"}).ok();
  } catch (const Error&) {
    return false;
  }
}

// A system call that changes something on disk, and which one of its kind (strace counts each kind by
// itself).
struct Step {
  std::string call;
  int number;
};

// Runs the command so that `what` ("signal=KILL", on its way in, or "error=ENOSPC") befalls it at that step.
ProcessResult run_with(const std::string& what, const Step& step, const std::vector<std::string>& command) {
  std::vector<std::string> argv{"strace",
                                "-f",
                                "-qq",
                                "-o",
                                "/dev/null",
                                "-E",
                                "ASAN_OPTIONS=detect_leaks=0",  // which cannot be done under strace
                                "-e",
                                "trace=" + step.call,
                                "-e",
                                "inject=" + step.call + ":" + what + ":when=" + std::to_string(step.number)};
  argv.insert(argv.end(), command.begin(), command.end());
  return run(argv);
}

// Calls `strikes` for each step until it says that there was no such step any more: for all of them in the
// long form, else for one of `short_stride` from a random one on. Returns how many there were; -1: none can
// be made.
template <typename Strikes>
int for_each_step(const std::vector<std::string>& calls, int short_stride, Strikes strikes) {
  if (!strace_works()) {
    std::printf("  skipped: strace does not work here\n");
    return -1;
  }
  const int stride = rounds(short_stride, 1);
  int struck = 0;
  for (const std::string& call : calls)
    for (int number = 1 + static_cast<int>(std::random_device{}() % static_cast<unsigned>(stride));
         strikes(Step{call, number}); number += stride)
      ++struck;
  return struck;
}

TEST_F(RestoreOver, KillAtAnyStepLeavesOldGroupsOrNewFiles) {
  int kept = 0, put_back = 0;
  const int struck = for_each_step(
      {"renameat", "renameat2", "linkat", "unlinkat", "fsync", "mkdirat", "write", "fchownat", "ioctl"}, 5,
      [&](const Step& step) {
        SCOPED_TRACE(step.call + " " + std::to_string(step.number));
        reset();
        const ProcessResult result = run_with("signal=KILL", step, argv("latest", target(), {"--force"}));
        if (result.status.signal == 0) {
          expect_restored(result, snapshot_, target());
          return false;
        }
        for (const std::string database : {kMain, kTenant}) {
          EXPECT_FALSE(is_new(database) && has_sidecars(database)) << database;
          EXPECT_TRUE(group_is_old_in(target(), database) || is_new(database) || is_kept_whole(database))
              << database;
        }
        const ProcessResult next = restore("latest", target());
        EXPECT_EQ(next.status.code, 1) << words(next);
        const bool told_kept = contains(next.err, "are kept, whole, in");
        for (const std::string database : {kMain, kTenant})
          EXPECT_TRUE(told_kept ? is_kept_whole(database)
                                : group_is_old_in(target(), database) || is_new(database))
              << database << words(next);
        kept += told_kept;
        put_back += contains(next.err, "were put back");
        EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
        expect_only_new();
        EXPECT_EQ(hidden().size(), told_kept ? 1U : 0U);
        EXPECT_EQ(is_kept_whole(kMain) && is_kept_whole(kTenant), told_kept);
        return true;
      });
  if (struck >= 0) {
    EXPECT_GT(struck, 2);
  }
  std::printf("  %d struck, %d put back, %d kept\n", struck, put_back, kept);
}

TEST_F(RestoreOver, KillAtAnyStepLeavesANewDirectoryWholeOrNone) {
  const int struck = for_each_step(
      {"renameat2", "unlinkat", "fsync", "mkdirat", "write", "flock"}, 2, [&](const Step& step) {
        SCOPED_TRACE(step.call + " " + std::to_string(step.number));
        fs::remove_all(target());
        const ProcessResult result = run_with("signal=KILL", step, argv("latest", target(), {}));
        if (result.status.signal == 0) return false;
        if (!fs::exists(target())) {
          EXPECT_EQ(restore("latest", target()).status.code, 0);
        }
        for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
        fs::remove_all(target());
        EXPECT_EQ(restore("latest", target()).status.code, 0);
        for (const auto& entry : fs::directory_iterator(app_.scratch("")))
          EXPECT_FALSE(contains(entry.path().string(), ".litepull-")) << entry.path();
        return true;
      });
  if (struck >= 0) {
    EXPECT_GT(struck, 1);
  }
}

// Whatever call fails, the directory is as it was, or still not there.
TEST_F(RestoreOver, ErrorAtAnyStepLeavesTheDirectoryAsItWas) {
  for (const bool there : {true, false}) {
    const int failed = for_each_step(
        {"mkdirat", "linkat", "renameat", "renameat2", "fsync"}, there ? 5 : 2, [&](const Step& step) {
          SCOPED_TRACE(step.call + " " + std::to_string(step.number));
          reset();
          if (!there) fs::remove_all(target());
          const ProcessResult result = run_with("error=ENOSPC", step, argv("latest", target(), {"--force"}));
          if (result.status.code ==
              0) {  // there was no such step, or it was the last flush, after all is done
            for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
            return false;
          }
          EXPECT_EQ(result.status.code, 1) << words(result);
          EXPECT_TRUE(contains(result.err, "free some space")) << words(result);
          EXPECT_EQ(fs::exists(target()), there) << words(result);
          if (!there) return true;
          EXPECT_EQ(listing_of_contents(), before_) << words(result);
          EXPECT_TRUE(hidden().empty()) << words(result);
          return true;
        });
    if (failed >= 0) {
      EXPECT_GT(failed, 0);
    }
  }
}

// --- a full disk -----------------------------------------------------------------------------------------

class SmallDisk {
 public:
  SmallDisk(const std::string& path, const std::string& options) : path_(path) {
    fs::create_directory(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

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

TEST_F(RestoreOver, DiskThatFillsUpOnTheWayLeavesTheDirectoryAsItWas) {
  bool fitted = false;
  for (int inodes = 12; inodes < 60 && !fitted; ++inodes) {
    fs::remove_all(target());
    const SmallDisk disk(target(), "size=8m,nr_inodes=" + std::to_string(inodes));
    if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
    fs::copy(old_, target(), fs::copy_options::recursive);
    before_ = listing_of_contents();
    const ProcessResult result = restore("latest", target(), {"--force"});
    fitted = result.status.code == 0;
    if (fitted) {
      expect_only_new();
    } else {
      EXPECT_EQ(listing_of_contents(), before_) << words(result);
    }
    EXPECT_TRUE(hidden().empty()) << words(result);
  }
  EXPECT_TRUE(fitted);
}

}  // namespace
}  // namespace litepull::test
