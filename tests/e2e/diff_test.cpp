// `litepull diff` as a user runs it: two real snapshots, and a snapshot against the live server.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/delta_helpers.h"
#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

void execute(const std::string& path, const std::string& sql) {
  SQLite::Database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec(sql);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct DiffRun {
  ProcessResult process;
  nlohmann::json json;

  int exit_code() const { return process.status.code; }
  const nlohmann::json& database(const std::string& name) const {
    static const nlohmann::json kNone;
    for (const auto& entry : json["databases"])
      if (entry["name"] == name) return entry;
    return kNone;
  }
  // "same", or for what changed "users +1 -0 ~2" and so on.
  std::string said(const std::string& name) const {
    const nlohmann::json& entry = database(name);
    if (entry.is_null()) return "none";
    std::string text = entry["status"];
    for (const auto& table : entry["tables"])
      text += " " + table["name"].get<std::string>() + " +" + table["added"].dump() + " -" +
              table["removed"].dump() + " ~" + table["changed"].dump();
    return text;
  }
};

class DiffCommand : public testing::Test {
 protected:
  explicit DiffCommand(Over over = Over::kLocal) : app_(over) {
    execute(main(),
            "PRAGMA journal_mode=wal; CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT);"
            "INSERT INTO users VALUES(1,'ann'),(2,'bob'),(3,'cem')");
    execute(queue(), "CREATE TABLE jobs(id INTEGER PRIMARY KEY); INSERT INTO jobs VALUES(1)");
  }

  std::string main() const { return app_.in_storage("main.sqlite3"); }
  std::string queue() const { return app_.in_storage("queue.sqlite3"); }

  // A snapshot that is older than the next one.
  std::string snapshot(const std::string& label) {
    const BackupRun run = app_.backup({"--label", label});
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    return make_older(run.snapshot());
  }

  void change_main() const {
    execute(main(),
            "UPDATE users SET name='a' WHERE id=1; DELETE FROM users WHERE id=2;"
            "INSERT INTO users VALUES(8,'x'),(9,'y')");
  }

  Strings argv(const Strings& arguments) const {
    Strings all{built_program("litepull"), "diff", app_.config_path()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  ProcessResult text(const Strings& arguments) const { return run(argv(arguments)); }

  DiffRun diff(Strings arguments) const {
    arguments.push_back("--json");
    DiffRun result{text(arguments), nullptr};
    result.json = nlohmann::json::parse(result.process.out, nullptr, false);
    EXPECT_FALSE(result.json.is_discarded()) << result.process.out << result.process.err;
    return result;
  }

  PullFixture app_;
};

TEST_F(DiffCommand, SaysWhatChangedBetweenTwoSnapshots) {
  execute(app_.in_storage("old.sqlite3"), "CREATE TABLE t(a)");
  snapshot("one");
  fs::remove(app_.in_storage("old.sqlite3"));
  execute(app_.in_storage("new.sqlite3"), "CREATE TABLE t(a)");
  change_main();
  app_.set("EXCLUDE", "old.sqlite3");
  snapshot("two");
  const std::string before = fingerprint(app_.workspace());

  const DiffRun run = diff({"one", "two"});
  EXPECT_EQ(run.exit_code(), 0) << run.process.err;
  EXPECT_EQ(run.json["app"], "app");
  EXPECT_EQ(run.json["identical"], false);
  EXPECT_EQ(run.json["a"]["label"], "one");
  EXPECT_EQ(run.json["b"]["label"], "two");
  EXPECT_EQ(run.said("main.sqlite3"), "changed users +2 -1 ~1");
  EXPECT_EQ(run.said("queue.sqlite3"), "same");
  EXPECT_EQ(run.database("queue.sqlite3")["same_file"], true);
  EXPECT_EQ(run.said("old.sqlite3"), "only_in_a");
  EXPECT_EQ(run.said("new.sqlite3"), "only_in_b");
  EXPECT_EQ(diff({"two", "one"}).said("main.sqlite3"), "changed users +1 -2 ~1");

  const ProcessResult shown = text({"one", "two", "--rows", "2"});
  EXPECT_EQ(shown.status.code, 0);
  EXPECT_EQ(shown.err, "");
  EXPECT_TRUE(contains(shown.out, "~ 1  name: 'ann' -> 'a'")) << shown.out;
  EXPECT_TRUE(contains(shown.out, "- 2\n")) << shown.out;
  EXPECT_TRUE(contains(shown.out, "3 -> 4 rows")) << shown.out;
  EXPECT_TRUE(contains(shown.out, "old.sqlite3: only in A")) << shown.out;
  EXPECT_EQ(fingerprint(app_.workspace()), before);
}

TEST_F(DiffCommand, OfASnapshotWithItselfIsNothing) {
  snapshot("one");
  const DiffRun run = diff({"one", "1"});
  EXPECT_EQ(run.exit_code(), 0);
  EXPECT_EQ(run.json["identical"], true);
  const ProcessResult shown = text({"latest", "1"});
  EXPECT_TRUE(contains(shown.out, "app: no difference")) << shown.out;
}

TEST_F(DiffCommand, LooksAtTheDatabasesThatWereNamed) {
  snapshot("one");
  change_main();
  execute(queue(), "INSERT INTO jobs VALUES(2)");
  snapshot("two");
  const DiffRun run = diff({"one", "two", "--database", "queue.sqlite3"});
  EXPECT_EQ(run.said("queue.sqlite3"), "changed jobs +1 -0 ~0");
  EXPECT_EQ(run.json["databases"].size(), 1U);
  const ProcessResult unknown = text({"one", "two", "--database", "none.sqlite3"});
  EXPECT_EQ(unknown.status.code, 2);
  EXPECT_TRUE(contains(unknown.err, "there are: main.sqlite3, queue.sqlite3")) << unknown.err;
}

TEST_F(DiffCommand, OfWhatIsThereNotIsAUsageError) {
  EXPECT_EQ(text({"latest", "live"}).status.code, 2);  // no snapshot yet
  EXPECT_FALSE(fs::exists(app_.app_directory()));
  snapshot("one");
  for (const Strings& words : {Strings{"one", "nothing"}, {"live", "live"}, {"one"}, {"one", "two", "three"}})
    EXPECT_EQ(text(words).status.code, 2) << words.front();
}

// Same size, so that the damage shows only when it is read.
TEST_F(DiffCommand, OfADamagedDatabaseSaysSoAndComparesTheOthers) {
  snapshot("one");
  change_main();
  execute(queue(), "INSERT INTO jobs VALUES(2)");
  const std::string two = snapshot("two");
  {
    std::fstream file(two + "/main.sqlite3", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(4096, '\x55');
  }
  const DiffRun run = diff({"one", "two"});
  EXPECT_EQ(run.exit_code(), 4);
  EXPECT_EQ(run.json["exit_code"], 4);
  EXPECT_EQ(run.said("main.sqlite3"), "error");
  EXPECT_EQ(run.database("main.sqlite3")["error_side"], "b");
  EXPECT_EQ(run.said("queue.sqlite3"), "changed jobs +1 -0 ~0");
  const ProcessResult shown = text({"one", "two"});
  EXPECT_TRUE(contains(shown.out, "main.sqlite3: ERROR: in B: damaged: ")) << shown.out;
}

TEST_F(DiffCommand, OfAFileThatIsGoneOrShorterSaysSo) {
  const std::string one = snapshot("one"), two = snapshot("two");
  fs::remove(one + "/queue.sqlite3");
  fs::resize_file(two + "/main.sqlite3", 4096);
  const DiffRun run = diff({"one", "two"});
  EXPECT_EQ(run.exit_code(), 4);
  EXPECT_EQ(run.database("queue.sqlite3")["error_side"], "a");
  EXPECT_EQ(run.database("main.sqlite3")["error_side"], "b");
  EXPECT_EQ(run.json["identical"], false);
}

TEST_F(DiffCommand, OfTheOldScriptsDirectoryReadsItsLogAndLeavesItAlone) {
  const std::string copy = app_.scratch("old"), old = app_.app_directory() + "/2020-01-01T020000+0100";
  fs::create_directories(copy);
  {
    SQLite::Database open(main(), SQLite::OPEN_READWRITE);
    open.exec("PRAGMA wal_autocheckpoint=0; INSERT INTO users VALUES(50,'in the log')");
    for (const char* ending : {"", "-wal"}) fs::copy_file(main() + ending, copy + "/main.sqlite3" + ending);
  }
  change_main();
  snapshot("now");
  fs::rename(copy, old);  // only now: retention would have removed it
  const std::string before = fingerprint(app_.workspace());
  for (int i = 0; i < 2; ++i) {
    const DiffRun run = diff({"2020", "now"});
    EXPECT_EQ(run.exit_code(), 0) << run.process.err;
    EXPECT_EQ(run.said("main.sqlite3"), "changed users +2 -1 ~1");
    EXPECT_EQ(run.said("queue.sqlite3"), "only_in_b");
    EXPECT_EQ(run.json["a"]["old_script"], true);
  }
  EXPECT_EQ(diff({"2020", "2020"}).said("main.sqlite3"), "same");
  EXPECT_EQ(fingerprint(app_.workspace()), before);
}

TEST_F(DiffCommand, NeedsNoLockUnlessItPulls) {
  snapshot("one");
  const Child holder({"flock", app_.app_directory() + "/.lock", "sleep", "600"});
  EXPECT_TRUE(eventually([&] { return text({"one", "live"}).status.code == 5; }));
  EXPECT_EQ(text({"one", "one"}).status.code, 0);
}

class DiffLive : public DiffCommand {
 protected:
  using DiffCommand::DiffCommand;

  // What the tests of the source's safety look at, too.
  void expect_all_as_it_was(const std::string& workspace, const std::string& storage) const {
    EXPECT_EQ(fingerprint(app_.app_directory()), workspace);
    EXPECT_EQ(app_.strangers(), Strings{".lock"});
    EXPECT_EQ(fingerprint(app_.storage()), storage);
  }

  void compare_with_live() {
    snapshot("one");
    change_main();
    execute(app_.in_storage("new.sqlite3"), "CREATE TABLE t(a)");
    // The process id in the lock file is the only thing that may change.
    EXPECT_EQ(diff({"one", "live"}).exit_code(), 0);
    fs::resize_file(app_.app_directory() + "/.lock", 0);
    const std::string workspace = fingerprint(app_.app_directory()), storage = fingerprint(app_.storage());
    const DiffRun run = diff({"one", "live"});
    EXPECT_EQ(run.exit_code(), 0) << run.process.err;
    EXPECT_EQ(run.said("main.sqlite3"), "changed users +2 -1 ~1");
    EXPECT_EQ(run.said("queue.sqlite3"), "same");
    EXPECT_EQ(run.said("new.sqlite3"), "only_in_b");
    EXPECT_EQ(run.json["b"]["live"], true);
    EXPECT_EQ(run.json["b"]["snapshot"], nullptr);
    EXPECT_EQ(diff({"live", "latest"}).said("main.sqlite3"), "changed users +1 -2 ~1");
    fs::resize_file(app_.app_directory() + "/.lock", 0);
    expect_all_as_it_was(workspace, storage);
  }
};

TEST_F(DiffLive, SaysWhatChangedSinceASnapshotAndLeavesNothing) {
  compare_with_live();
}

class DiffLiveOverSsh : public DiffLive {
 protected:
  DiffLiveOverSsh() : DiffLive(Over::kSsh) {}
};

TEST_F(DiffLiveOverSsh, SaysTheSame) {
  compare_with_live();
}

TEST_F(DiffLiveOverSsh, SendsOnlyWhatChanged) {
  make_rows(app_.in_storage("large.sqlite3"), 2'000, 4'000, "delete");
  TcpProxy proxy(app_.sshd().port());
  app_.reach_through(proxy.port());
  snapshot("one");
  change_range(app_.in_storage("large.sqlite3"), 100, 109);
  const std::uint64_t before = proxy.bytes_down();
  EXPECT_EQ(diff({"one", "live"}).said("large.sqlite3"), "changed t +0 -0 ~10");
  EXPECT_LT(proxy.bytes_down() - before, 200'000U);
}

TEST_F(DiffLiveOverSsh, OfAServerThatIsNotThereIsExitCode3) {
  snapshot("one");
  const ClosedPort nobody;
  app_.set("SERVER_PORT", std::to_string(nobody.port()));
  const DiffRun run = diff({"one", "live"});
  EXPECT_EQ(run.exit_code(), 3);
  EXPECT_EQ(run.json["exit_code"], 3);
  EXPECT_EQ(app_.strangers(), Strings{".lock"});
}

// What an interrupted pull has is gone on with, is there afterwards, and the next backup has it all.
TEST_F(DiffLiveOverSsh, GoesOnWithAnInterruptedPullAndKeepsIt) {
  const std::string large = app_.in_storage("large.sqlite3");
  TcpProxy proxy(app_.sshd().port());
  app_.reach_through(proxy.port());
  snapshot("one");
  make_rows(large, 2'000, 4'000, "delete");
  proxy.cut_after(4'000'000, CutMode::kFin);
  EXPECT_EQ(app_.backup().exit_code(), 1);
  ASSERT_EQ(app_.strangers().size(), 2U);
  const Strings left = app_.strangers();
  std::uint64_t before = proxy.bytes_down();
  EXPECT_EQ(diff({"one", "live"}).said("large.sqlite3"), "only_in_b");
  EXPECT_LT(proxy.bytes_down() - before, 5'500'000U);
  EXPECT_EQ(app_.strangers(), left);
  before = proxy.bytes_down();
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_LT(proxy.bytes_down() - before, 200'000U);
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
  EXPECT_EQ(app_.strangers(), Strings{".lock"});
}

class DiffLiveEnded : public DiffLiveOverSsh, public testing::WithParamInterface<int> {};

// Its lock goes with it, no snapshot is touched, and what it leaves the next backup goes on with.
TEST_P(DiffLiveEnded, ByASignalLeavesOnlyWhatTheNextBackupTakes) {
  TcpProxy proxy(app_.sshd().port());
  app_.reach_through(proxy.port());
  const std::string one = snapshot("one");
  const std::string before = fingerprint(one);
  make_rows(app_.in_storage("large.sqlite3"), 2'000, 4'000, "delete");
  proxy.set_rate(4'000'000);
  const std::uint64_t start = proxy.bytes_down();
  Child child(argv({"one", "live"}),
              {.stdout_path = app_.scratch("out"), .stderr_path = app_.scratch("err")});
  ASSERT_TRUE(eventually([&] { return proxy.bytes_down() > start + 3'000'000; }));
  child.kill(GetParam());
  const auto status = child.wait(Milliseconds(20'000));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, GetParam() == SIGTERM ? 1 : -1);
  proxy.set_rate(0);
  EXPECT_EQ(app_.snapshots(), Strings{one});
  EXPECT_EQ(fingerprint(one), before);
  EXPECT_EQ(app_.strangers().size(), 2U);
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(app_.strangers(), Strings{".lock"});
}

INSTANTIATE_TEST_SUITE_P(Any, DiffLiveEnded, testing::Values(SIGTERM, SIGKILL),
                         [](const auto& test) { return test.param == SIGTERM ? "Term" : "Kill"; });

}  // namespace
}  // namespace litepull::test
