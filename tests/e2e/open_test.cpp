// The shell of `litepull open` shows what is in a snapshot, and leaves no trace.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kOldScriptName = "2024-05-01T020000+0200";
constexpr const char* kNeverEnds =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";

void make_database(const std::string& path, const std::string& body, const std::string& mode = "wal") {
  fs::create_directories(fs::path(path).parent_path());
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=" + mode);
  database.exec("CREATE TABLE t(body TEXT); INSERT INTO t VALUES ('" + body + "')");
}

class Open : public testing::Test {
 protected:
  Open() : app_(Over::kLocal) {
    app_.set("DATABASES", "**/*.sqlite3");
    if (!run({"sh", "-c", "command -v sqlite3"}).ok()) skip_ = true;
  }

  void SetUp() override {
    if (skip_) GTEST_SKIP() << "sqlite3 is not installed";
  }

  void pull() {
    const BackupRun run = app_.backup();
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    snapshot_ = run.snapshot();
    remember();
  }

  void make_old_script_directory() {
    snapshot_ = app_.app_directory() + "/" + kOldScriptName;
    const std::string live = app_.in_storage("live.sqlite3");
    fs::create_directories(snapshot_);
    fs::permissions(app_.app_directory(), fs::perms(0700));
    SQLite::Database database(live, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=wal; CREATE TABLE t(body TEXT); INSERT INTO t VALUES ('in the WAL')");
    for (const char* ending : {"", "-wal", "-shm"})
      fs::copy(live + ending, snapshot_ + "/main.sqlite3" + ending);
    remember();
  }

  void remember() { before_ = listing(app_.workspace()) + fingerprint(app_.workspace()); }
  void expect_no_trace() const {
    EXPECT_EQ(listing(app_.workspace()) + fingerprint(app_.workspace()), before_);
  }

  std::vector<std::string> argv(const std::vector<std::string>& words) const {
    std::vector<std::string> all{built_program("litepull"), "open", app_.config_path()};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }
  ProcessResult open(const std::vector<std::string>& words) const { return run(argv(words)); }

  PullFixture app_;
  std::string snapshot_;
  std::string before_;
  bool skip_ = false;
};

TEST_F(Open, ShowsWhatIsInADatabaseAndLeavesNoTrace) {
  for (const char* mode : {"wal", "delete"})
    make_database(app_.in_storage(std::string(mode) + ".sqlite3"), mode, mode);
  pull();
  for (const char* name : {"wal", "delete.sqlite3"}) {
    const ProcessResult result = open({"latest", name, "--", "-header", "SELECT body FROM t"});
    EXPECT_EQ(result.status.code, 0) << result.err;
    EXPECT_EQ(result.out, "body\n" + fs::path(name).stem().string() + "\n");
    expect_no_trace();
  }
}

TEST_F(Open, TakesTheOnlyDatabaseOrTheMainOne) {
  make_database(app_.in_storage("only.sqlite3"), "only");
  pull();
  EXPECT_EQ(open({"--", "SELECT body FROM t"}).out, "only\n");
  make_database(app_.in_storage("another.sqlite3"), "another");
  pull();
  const ProcessResult several = open({"latest", "--", "SELECT body FROM t"});
  EXPECT_EQ(several.status.code, 2);
  EXPECT_NE(several.err.find("another.sqlite3, only.sqlite3"), std::string::npos) << several.err;
  EXPECT_EQ(open({"latest", "other", "--", "SELECT 1"}).status.code, 2);
  make_database(app_.in_storage("production.sqlite3"), "main");
  pull();
  EXPECT_EQ(open({"latest", "--", "SELECT body FROM t"}).out, "main\n");
  expect_no_trace();
}

TEST_F(Open, NothingCanBeWritten) {
  make_database(app_.in_storage("main.sqlite3"), "as it was");
  pull();
  EXPECT_NE(open({"--", "DELETE FROM t"}).status.code, 0);
  EXPECT_NE(open({"--", "PRAGMA journal_mode=delete; CREATE TABLE u(x)"}).status.code, 0);
  expect_no_trace();
}

TEST_F(Open, PathsWithAnyCharacterAreOpenedAsTheyAre) {
  app_.set("LOCAL_BACKUP_ROOT", app_.workspace() + "/a b?mode=rwc&x#y%41;z");
  make_database(app_.in_storage("tenants/ü ?100%.sqlite3"), "odd");
  pull();
  const ProcessResult result = open({"--", "SELECT body FROM t"});
  EXPECT_EQ(result.out, "odd\n") << result.err;
  expect_no_trace();
}

TEST_F(Open, ExitStatusIsTheShells) {
  make_database(app_.in_storage("main.sqlite3"), "x");
  pull();
  EXPECT_EQ(open({"--", "SELECT nonsense FROM t"}).status.code,
            run({"sqlite3", ":memory:", "SELECT nonsense"}).status.code);
  EXPECT_EQ(open({"--", ".exit 7"}).status.code, 7);
}

TEST_F(Open, ReadsStatementsFromStandardInput) {
  make_database(app_.in_storage("main.sqlite3"), "piped");
  pull();
  RunOptions options;
  options.stdin_text = "SELECT body FROM t;\n";
  EXPECT_EQ(run(argv({}), options).out, "piped\n");
  expect_no_trace();
}

TEST_F(Open, MissingShellIsNamedWithTheCommandThatInstallsIt) {
  make_database(app_.in_storage("main.sqlite3"), "x");
  pull();
  RunOptions options;
  options.env["PATH"] = app_.scratch("nowhere");
  const ProcessResult result = run(argv({}), options);
  EXPECT_EQ(result.status.code, 1);
  EXPECT_NE(result.err.find("install sqlite"), std::string::npos) << result.err;
}

TEST_F(Open, OldScriptsCopyIsReadWithItsWalAndLeftAsItIs) {
  make_old_script_directory();
  const ProcessResult result = open({"latest", "main", "--", "SELECT body FROM t"});
  EXPECT_EQ(result.out, "in the WAL\n") << result.err;
  expect_no_trace();
}

TEST_F(Open, InterruptIsTheShellsAndTerminationEndsBoth) {
  make_old_script_directory();
  StartOptions options;
  options.stdout_path = options.stderr_path = app_.scratch("open.out");
  const auto started = [&] {
    Child child(argv({"latest", "main", "--", kNeverEnds}), options);
    EXPECT_TRUE(eventually([&] {
      const auto below = descendants_of(child.pid());
      return std::any_of(below.begin(), below.end(),
                         [](const ProcessEntry& e) { return e.name == "sqlite3"; });
    }));
    pause_for(Milliseconds(100));
    return child;
  };
  Child alone = started();
  alone.kill(SIGINT);
  EXPECT_FALSE(alone.wait(Milliseconds(300)));
  alone.kill(SIGTERM);
  EXPECT_EQ(alone.wait(Milliseconds(10'000))->code, 128 + SIGTERM);
  expect_no_trace();
  Child both = started();
  ::kill(-both.pid(), SIGINT);
  const auto status = both.wait(Milliseconds(10'000));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, 0);
  EXPECT_NE(status->code, 0);
  expect_no_trace();
}

}  // namespace
}  // namespace litepull::test
