// Sound data past limits that the code once had, names that are special to a shell or a terminal, and disks
// that take two names for one.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/shell_word.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

class Limits : public testing::Test {
 protected:
  void make(const std::string& name,
            const std::string& sql = "CREATE TABLE t(v); INSERT INTO t VALUES('it')") {
    fs::create_directories(fs::path(app_.in_storage(name)).parent_path());
    SQLite::Database database(app_.in_storage(name), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(sql);
  }

  static std::string content_of(const std::string& file) {
    SQLite::Database database("file:" + file + "?immutable=1", SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    return database.execAndGet("SELECT v FROM t").getString();
  }

  // `litepull NAME CONFIG arguments...`
  ProcessResult command(const std::string& name, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {built_program("litepull"), name, app_.config_path()});
    return run(arguments, {.env = environment_, .timeout = Milliseconds(120'000)});
  }

  void fold_names() {
    environment_["LD_PRELOAD"] = built_program("fold_names.so");
    app_.set_environment("LD_PRELOAD", environment_["LD_PRELOAD"]);
  }

  PullFixture app_{Over::kLocal};
  Environment environment_;
};

// --- names of tables -------------------------------------------------------------------------------------

TEST_F(Limits, TablesWithNamesOfAnyLengthAreVerifiedAndCompared) {
  make("production.sqlite3", "CREATE TABLE t(v)");
  {
    SQLite::Database database(app_.in_storage("production.sqlite3"), SQLite::OPEN_READWRITE);
    for (const std::size_t bytes : {500U, 501U, 599U, 600U, 601U, 5000U})
      database.exec("CREATE TABLE \"" + std::string(bytes, 'x') + "\"(v)");
    for (const std::string end : {"a", "b"}) {
      const std::string name = "\"" + std::string(2000, 'y') + end + "\"";
      database.exec("CREATE TABLE " + name + "(v); INSERT INTO " + name + " VALUES(1)" +
                    (end == "a" ? "" : ",(2)"));
    }
  }
  const BackupRun run = app_.backup();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  const ProcessResult verify = command("verify");
  EXPECT_TRUE(verify.ok()) << verify.out << verify.err;
  EXPECT_EQ(run.database("production.sqlite3").at("tables").size(), 9U);
  const ProcessResult diff = command("diff", {"latest", "live"});
  EXPECT_TRUE(diff.ok()) << diff.out << diff.err;
}

// --- long paths ------------------------------------------------------------------------------------------

TEST_F(Limits, ABackupRootOfAnyLengthIsPulledVerifiedComparedAndRestored) {
  make("production.sqlite3");
  std::string root = app_.scratch("deep");
  while (root.size() < 1500) root += "/" + std::string(100, 'd') + "?%#";
  app_.set("LOCAL_BACKUP_ROOT", "'" + root + "'");
  const BackupRun run = app_.backup();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_TRUE(command("verify").ok());
  make("other.sqlite3");
  EXPECT_EQ(app_.backup().exit_code(), 0);
  const ProcessResult diff = command("diff", {"1", "live"});
  EXPECT_EQ(diff.status.code, 0) << diff.out << diff.err;
  const ProcessResult restore = command("restore", {"latest", "--to", root + "/restored"});
  EXPECT_EQ(restore.status.code, 0) << restore.out << restore.err;
}

TEST_F(Limits, ABackupRootThatLeavesNoRoomForSnapshotsIsRefusedByName) {
  make("production.sqlite3");
  app_.set("LOCAL_BACKUP_ROOT", "/" + std::string(3800, 'd'));
  const ProcessResult check = command("check");
  EXPECT_EQ(check.status.code, 2) << check.out << check.err;
  EXPECT_NE(check.err.find("LOCAL_BACKUP_ROOT"), std::string::npos) << check.err;
}

// --- names that are one ----------------------------------------------------------------------------------

struct Pair {
  const char *one, *two;
};

class Twins : public Limits, public testing::WithParamInterface<Pair> {};

TEST_P(Twins, OnADiskThatTakesThemForOneCostOnlyTheSecond) {
  const auto [one, two] = GetParam();
  for (const std::string name : {one, two})
    make(name, "CREATE TABLE t(v); INSERT INTO t VALUES('of " + name + "')");
  make("other.sqlite3");
  app_.set("DATABASES", "**/*.sqlite3");
  fold_names();
  for (int night = 1; night <= 2; ++night) {
    const BackupRun run = app_.backup();
    ASSERT_EQ(run.exit_code(), 4) << run.words();
    EXPECT_EQ(content_of(run.file(one)), "of " + std::string(one));
    EXPECT_EQ(run.database(one).at("verified"), "ok");
    EXPECT_EQ(run.database("other.sqlite3").at("verified"), "ok");
    const std::string why = run.database(two).at("error").at("message");
    EXPECT_NE(why.find("do not count there"), std::string::npos) << why;
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    const ProcessResult verify = command("verify", {"latest"});
    EXPECT_EQ(verify.out.find("DAMAGED: " + std::string(one)), std::string::npos) << verify.out;
    EXPECT_EQ((verify.out + verify.err).find("not in the manifest"), std::string::npos)
        << verify.out << verify.err;
    make(one, "UPDATE t SET v = v");
  }
}

INSTANTIATE_TEST_SUITE_P(Names, Twins,
                         testing::Values(Pair{"\xC3\x89ric.sqlite3", "\xC3\xA9ric.sqlite3"},
                                         Pair{"cafe\xCC\x81.sqlite3", "caf\xC3\xA9.sqlite3"},
                                         Pair{"Shop/a.sqlite3", "shop/b.sqlite3"}));

TEST_F(Limits, ASnapshotWithTwinsIsNotRestoredToADiskThatTakesThemForOne) {
  for (const char* name : {"\xC3\x89ric.sqlite3", "\xC3\xA9ric.sqlite3"}) make(name);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  fold_names();
  const ProcessResult restore = command("restore", {"latest", "--to", app_.scratch("restored")});
  EXPECT_EQ(restore.status.code, 1) << restore.out << restore.err;
  EXPECT_NE(restore.err.find("do not count there"), std::string::npos) << restore.err;
  EXPECT_FALSE(fs::exists(app_.scratch("restored")));
}

// --- names for a shell and a terminal --------------------------------------------------------------------

constexpr const char* kOddNames[] = {"tenant;touch PWNED;.sqlite3", "o'reilly'$(touch PWNED)'.sqlite3",
                                     "my shop.sqlite3", "-rf.sqlite3",
                                     "\xE2\x80\xAE"
                                     "evil.sqlite3"};

std::string after(const std::string& text, const std::string& words) {
  const std::size_t at = text.find(words);
  if (at == std::string::npos) return "false; " + words + " was not said: " + text;
  return text.substr(at + words.size(), text.find('\n', at) - at - words.size());
}

void expect_safe(const std::string& text) {
  EXPECT_EQ(text.find("\xE2\x80\xAE"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1B'), std::string::npos) << text;
}

// What is pasted runs here, with litepull in the PATH.
ProcessResult paste(const std::string& command, const std::string& directory) {
  const std::string path = fs::path(built_program("litepull")).parent_path().string();
  return run({"sh", "-c", "cd " + shell_word(directory) + "; PATH=" + path + ":$PATH; " + command});
}

TEST_F(Limits, CommandsToBePastedRunAsTheyArePrintedWhateverTheDatabaseIsCalled) {
  for (const std::string name : kOddNames) make(name);
  app_.set("DATABASES", "*.sqlite3");
  const BackupRun first = app_.backup();
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  expect_safe(first.process.out + first.process.err);
  const std::string snapshot = fs::path(first.snapshot()).filename().string();
  const std::string empty = app_.scratch("empty");
  fs::create_directory(empty);
  for (const std::string name : kOddNames) {
    const std::string hashes = first.snapshot() + "/.hashes/" + name;
    fs::resize_file(hashes, fs::file_size(hashes) - 1);
    const ProcessResult verify = command("verify", {snapshot});
    expect_safe(verify.out + verify.err);
    const ProcessResult pasted = paste("rm " + after(verify.out + verify.err, "remove it with: rm "), empty);
    EXPECT_TRUE(pasted.ok()) << pasted.err;
    EXPECT_FALSE(fs::exists(hashes)) << name;
  }
  EXPECT_TRUE(fs::is_empty(empty)) << listing(empty);
}

TEST_F(Limits, AnUndoLineUndoesWhateverTheDatabaseIsCalled) {
  for (const std::string name : kOddNames) make(name);
  const BackupRun first = app_.backup();
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  const std::string empty = app_.scratch("empty");
  fs::create_directory(empty);
  for (const std::string name : kOddNames) make(name, "UPDATE t SET v = 'newer'");
  const ProcessResult restore = command("restore", {"1", "--to-server", "--yes", "app"});
  ASSERT_TRUE(restore.ok()) << restore.out << restore.err;
  expect_safe(restore.out + restore.err);
  const ProcessResult undo = paste(after(restore.out, "to undo this: ") + " --yes app", empty);
  EXPECT_TRUE(undo.ok()) << restore.out << undo.out << undo.err;
  for (const std::string name : kOddNames) {
    SQLite::Database database(app_.in_storage(name), SQLite::OPEN_READONLY);
    EXPECT_EQ(database.execAndGet("SELECT v FROM t").getString(), "newer") << name;
  }
  EXPECT_TRUE(fs::is_empty(empty)) << listing(empty);
  for (const std::string name : {"list", "verify", "status"}) {
    const ProcessResult said = command(name, {"--json"});
    expect_safe(said.out + said.err);
  }
  expect_safe(first.process.out);
  EXPECT_FALSE(first
                   .database("\xE2\x80\xAE"
                             "evil.sqlite3")
                   .is_null())
      << "the value is exact";
}

}  // namespace
}  // namespace litepull::test
