// A restore to the server that did not end well is run again. It does what the first try should have done,
// and what was there before the first try can still be put back. Words such as `latest` keep their meaning
// meanwhile.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>

#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr const char* kA = "a.sqlite3";
constexpr const char* kB = "b.sqlite3";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Answer {
  ProcessResult process;
  nlohmann::json json;

  int code() const { return process.timed_out ? -1 : process.status.code; }
  std::string words() const {
    return "exit code " + std::to_string(code()) + "\n" + process.out + process.err;
  }
};

// An app with two databases, one snapshot of both when they were good, and then the accident.
class Accident {
 public:
  // Over SSH, it is reached through `proxy`.
  explicit Accident(const std::string& mode, Over over = Over::kLocal) : app(over) {
    if (over == Over::kSsh) {
      proxy = std::make_unique<TcpProxy>(app.sshd().port());
      app.reach_through(proxy->port());
    }
    for (const char* name : {kA, kB}) {
      SQLite::Database database(app.in_storage(name), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("PRAGMA journal_mode=" + mode);
      database.exec(
          "CREATE TABLE t(v); INSERT INTO t VALUES('good'); CREATE TABLE bulk(id INTEGER PRIMARY KEY, body);"
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
          "INSERT INTO bulk SELECT i, randomblob(500) FROM n");
    }
    const BackupRun backup = app.backup();
    EXPECT_EQ(backup.exit_code(), 0) << backup.words();
    snapshot = fs::path(backup.snapshot()).filename();
    for (const char* name : {kA, kB}) set(name, "accident");
  }

  void set(const std::string& name, const std::string& value) const {
    SQLite::Database database(app.in_storage(name), SQLite::OPEN_READWRITE, 20'000);
    database.exec("UPDATE t SET v = '" + value + "'; UPDATE bulk SET body = randomblob(500) WHERE id < 50");
  }

  std::string value(const std::string& name) const {
    SQLite::Database database(app.in_storage(name), SQLite::OPEN_READWRITE, 20'000);
    return database.execAndGet("SELECT v FROM t").getString();
  }
  std::string values() const { return value(kA) + " " + value(kB); }

  Answer command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), built_program("litepull"));
    arguments.insert(arguments.begin() + 2, app.config_path());
    arguments.push_back("--json");
    Answer answer;
    answer.process = run(arguments);
    answer.json = nlohmann::json::parse(answer.process.out, nullptr, false);
    return answer;
  }
  Answer restore(const std::string& word, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"restore", word, "--to-server", "--yes", "app"});
    return command(more);
  }

  Child start_restore(const std::string& word) const {
    StartOptions options;
    options.stdout_path = app.scratch("restore.out");
    options.stderr_path = app.scratch("restore.err");
    return Child(
        {built_program("litepull"), "restore", app.config_path(), word, "--to-server", "--yes", "app"},
        options);
  }

  // Of the safety snapshots, oldest first: how far their restores came.
  std::vector<std::string> states() const {
    std::vector<std::string> states;
    for (const std::string& path : app.snapshots()) {
      if (!fs::exists(path + "/manifest.json")) continue;
      const nlohmann::json before =
          nlohmann::json::parse(read_file(path + "/manifest.json"))["before_restore"];
      if (!before.is_null()) states.push_back(before["state"]);
    }
    return states;
  }

  // Types the command that a restore said undoes it.
  void undo(const nlohmann::json& line) const {
    ASSERT_TRUE(line.is_string());
    const auto done = run({"sh", "-c",
                           built_program("litepull").substr(0, built_program("litepull").rfind('/') + 1) +
                               line.get<std::string>() + " --yes app"});
    EXPECT_EQ(done.status.code, 0) << done.out << done.err;
  }

  // The snapshot that each command takes a word for.
  std::map<std::string, std::string> meanings(const std::string& word) const {
    std::map<std::string, std::string> names;
    names["verify"] = command({"verify", word}).json["snapshots"][0]["name"];
    names["diff"] = command({"diff", word, snapshot}).json["a"]["snapshot"];
    names["pin"] = command({"pin", word}).json["snapshot"];
    names["unpin"] = command({"unpin", word}).json["snapshot"];
    const std::string to = app.scratch("restored");
    names["restore --to"] = command({"restore", word, "--to", to}).json["snapshot"];
    fs::remove_all(to);
    names["restore --to-server"] = command({"restore", word, "--to-server", "--dry-run"}).json["snapshot"];
    const auto opened =
        run({built_program("litepull"), "open", app.config_path(), word, kA, "--", "SELECT v FROM t"});
    names["open"] = opened.out == "good\n" ? snapshot : opened.out + opened.err;
    names["status"] = nlohmann::json::parse(app.litepull({"status", "--json"}).out)["newest_good"]["name"];
    for (const auto& entry : nlohmann::json::parse(app.litepull({"list", "--json"}).out)["snapshots"])
      if (entry["index"] == 1) names["list"] = entry["name"];
    return names;
  }

  PullFixture app;
  std::unique_ptr<TcpProxy> proxy;
  std::string snapshot;
};

void expect_one_meaning(const Accident& accident, const std::string& when) {
  for (const char* word : {"latest", "latest-verified", "1"})
    for (const auto& [command, name] : accident.meanings(word))
      EXPECT_EQ(name, accident.snapshot) << command << " " << word << ", " << when;
}

// --- A lock in the way -----------------------------------------------------------------------------------

class LockInTheWay : public testing::TestWithParam<const char*> {};

TEST_P(LockInTheWay, IsNothingButASecondTry) {
  Accident accident(GetParam());
  SQLite::Database app(accident.app.in_storage(kA), SQLite::OPEN_READWRITE);
  app.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES('hangs')");
  const Answer failed = accident.restore("latest");
  EXPECT_EQ(failed.code(), 1) << failed.words();
  EXPECT_TRUE(contains(failed.json["error"]["hint"], "again: litepull restore " + accident.app.config_path() +
                                                         " " + accident.snapshot + " --to-server"))
      << failed.words();
  EXPECT_EQ(accident.states(), std::vector<std::string>{"prepared"});
  app.exec("ROLLBACK");
  const Answer again = accident.restore("latest");
  ASSERT_EQ(again.code(), 0) << again.words();
  EXPECT_EQ(again.json["snapshot"], accident.snapshot);
  EXPECT_EQ(accident.values(), "good good");
  EXPECT_EQ(accident.states(), std::vector<std::string>{"done"}) << "what was there is kept once";
  accident.undo(again.json["undo"]);
  EXPECT_EQ(accident.values(), "accident accident");
}

// Each waits 10 s for the lock.
std::vector<const char*> lock_modes() {
  return rounds(0, 1) == 1 ? std::vector<const char*>{"wal", "delete"} : std::vector<const char*>{"wal"};
}
INSTANTIATE_TEST_SUITE_P(InJournalMode, LockInTheWay, testing::ValuesIn(lock_modes()),
                         [](const auto& mode) { return std::string(mode.param); });

TEST(RestoreAgain, OfWhatIsHalfDoneFinishesItAndLosesNoCommitBetween) {
  Accident accident("delete");
  expect_one_meaning(accident, "before");
  SQLite::Database reader(accident.app.in_storage(kB), SQLite::OPEN_READWRITE);
  reader.exec("BEGIN");
  reader.execAndGet("SELECT count(*) FROM t");
  const Answer half = accident.restore("latest-verified");
  ASSERT_EQ(half.code(), 4) << half.words();
  EXPECT_TRUE(contains(half.process.err,
                       "again: litepull restore " + accident.app.config_path() + " " + accident.snapshot))
      << half.words();
  reader.exec("COMMIT");
  EXPECT_EQ(accident.values(), "good accident");
  EXPECT_EQ(accident.states(), std::vector<std::string>{"open"});
  expect_one_meaning(accident, "after it was half done");
  accident.set(kA, "later");

  const Answer plan = accident.command({"restore", "latest", "--to-server", "--dry-run"});
  EXPECT_EQ(plan.json["unfinished"][0]["safety_snapshot"], half.json["safety_snapshot"]) << plan.words();
  const Answer again = accident.restore("latest-verified");
  ASSERT_EQ(again.code(), 0) << again.words();
  EXPECT_EQ(accident.values(), "good good");
  expect_one_meaning(accident, "after it was done");
  EXPECT_EQ(accident.states(), (std::vector<std::string>{"done", "done"}));
  ASSERT_EQ(again.json["safety_snapshots"].size(), 2U) << again.words();
  EXPECT_EQ(again.json["safety_snapshot"], half.json["safety_snapshot"]);
  EXPECT_TRUE(again.json["written_between"].empty()) << again.words();
  accident.undo(again.json["safety_snapshots"][1]["undo"]);
  EXPECT_EQ(accident.values(), "later accident");
  accident.undo(again.json["undo"]);
  EXPECT_EQ(accident.values(), "accident accident");
}

// --- Whatever dies ---------------------------------------------------------------------------------------

// The client and its agent at once, as when this machine stops and the server notices.
void kill_both(Child& client) {
  const auto started = descendants_of(client.pid());
  client.kill(SIGKILL);
  client.wait(Milliseconds(10'000));
  for (const ProcessEntry& entry : started)
    if (entry.name.starts_with("litepull-agent")) ::kill(entry.pid, SIGKILL);
}

TEST(RestoreAgain, AfterAKillBeforeTheFirstCommitIsARestoreLikeAnyOther) {
  for (const char* mode : {"wal", "delete"}) {
    Accident accident(mode);
    SQLite::Database app(accident.app.in_storage(kA), SQLite::OPEN_READWRITE);
    app.exec("BEGIN IMMEDIATE");
    Child client = accident.start_restore("latest");
    ASSERT_TRUE(eventually([&] { return accident.states() == std::vector<std::string>{"open"}; }));
    kill_both(client);
    app.exec("ROLLBACK");
    EXPECT_EQ(accident.values(), "accident accident");
    expect_one_meaning(accident, "after a kill");
    const Answer again = accident.restore("1");
    ASSERT_EQ(again.code(), 0) << again.words();
    EXPECT_EQ(accident.values(), "good good");
    EXPECT_EQ(accident.states(), std::vector<std::string>{"done"});
    accident.undo(again.json["undo"]);
    EXPECT_EQ(accident.values(), "accident accident");
  }
}

// The first database is restored, the second waits for a reader; then `strike` ends it there.
template <typename Strike>
void strike_in_the_middle(Accident& accident, Strike strike) {
  SQLite::Database reader(accident.app.in_storage(kB), SQLite::OPEN_READWRITE);
  reader.exec("BEGIN");
  reader.execAndGet("SELECT count(*) FROM t");
  Child client = accident.start_restore("latest");
  ASSERT_TRUE(eventually([&] { return accident.value(kA) == "good"; }, Milliseconds(30'000)));
  strike(client);
  const auto status = client.wait(Milliseconds(60'000));
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->signal == SIGKILL || status->code == 4)
      << status->code << read_file(accident.app.scratch("restore.err"));
  reader.exec("COMMIT");
}

void expect_that_it_goes_on(const Accident& accident) {
  EXPECT_EQ(accident.value(kA), "good");
  EXPECT_EQ(accident.states(), std::vector<std::string>{"open"});
  expect_one_meaning(accident, "after it was cut");
  const Answer again = accident.restore("latest");
  ASSERT_EQ(again.code(), 0) << again.words();
  EXPECT_EQ(again.json["snapshot"], accident.snapshot);
  EXPECT_EQ(accident.values(), "good good");
  EXPECT_EQ(accident.states(), std::vector<std::string>{"done"})
      << "the half-done state is not what was there";
  EXPECT_TRUE(again.json["written_between"].empty()) << again.words();
  accident.undo(again.json["undo"]);
  EXPECT_EQ(accident.values(), "accident accident");
}

TEST(RestoreAgain, AfterAKillInTheMiddleGoesOnWithWhatTheFirstTryKept) {
  Accident accident("delete");
  strike_in_the_middle(accident, kill_both);
  expect_that_it_goes_on(accident);
}

TEST(RestoreAgain, AfterACutLinkGoesOnWhateverBecameOfTheFirstTry) {
  Accident accident("delete", Over::kSsh);
  strike_in_the_middle(accident, [&](Child&) { accident.proxy->cut_after(0, CutMode::kReset); });
  EXPECT_TRUE(contains(read_file(accident.app.scratch("restore.err")), "again: litepull restore"));
  expect_that_it_goes_on(accident);
}

// --- Other restores --------------------------------------------------------------------------------------

TEST(RestoreAgain, OfAnotherSnapshotKeepsWhatIsThereAndSaysThatOneIsHalfDone) {
  Accident accident("delete");
  strike_in_the_middle(accident, kill_both);
  const std::string first = accident.app.snapshots().back();
  const BackupRun other = accident.app.backup();  // of the half-done state
  ASSERT_EQ(other.exit_code(), 0) << other.words();
  accident.set(kB, "later");
  const Answer restored = accident.restore("latest");
  ASSERT_EQ(restored.code(), 0) << restored.words();
  EXPECT_EQ(restored.json["snapshot"], fs::path(other.snapshot()).filename().string());
  EXPECT_EQ(restored.json["unfinished"][0]["safety_snapshot"], first) << restored.words();
  EXPECT_TRUE(contains(restored.process.err, "did not end")) << restored.words();
  EXPECT_EQ(accident.states(), (std::vector<std::string>{"done", "done"})) << "it covers the same databases";
  accident.undo(restored.json["undo"]);
  EXPECT_EQ(accident.values(), "good later");
}

TEST(RestoreAgain, ARestoreThatEndedIsNotGoneOnWith) {
  Accident accident("wal");
  ASSERT_EQ(accident.restore("latest").code(), 0);
  for (const char* name : {kA, kB}) accident.set(name, "second accident");
  const Answer again = accident.restore("latest");
  ASSERT_EQ(again.code(), 0) << again.words();
  EXPECT_EQ(again.json["safety_snapshots"].size(), 1U) << again.words();
  accident.undo(again.json["undo"]);
  EXPECT_EQ(accident.values(), "second accident second accident");
}

TEST(RestoreAgain, OfOneDatabaseLeavesTheOthersUnfinished) {
  Accident accident("delete");
  strike_in_the_middle(accident, kill_both);
  const Answer part = accident.restore("latest", {"--database", kA});
  ASSERT_EQ(part.code(), 0) << part.words();
  EXPECT_EQ(accident.states(), std::vector<std::string>{"open"});
  const Answer rest = accident.restore("latest");
  ASSERT_EQ(rest.code(), 0) << rest.words();
  EXPECT_EQ(accident.states(), std::vector<std::string>{"done"});
  accident.undo(rest.json["undo"]);
  EXPECT_EQ(accident.values(), "accident accident");
}

// --- What list says --------------------------------------------------------------------------------------

TEST(RestoreAgain, ListHasADashWhereNoNumberMeansASnapshot) {
  Accident accident("wal");
  ASSERT_EQ(accident.restore("latest").code(), 0);
  const std::string safety = fs::path(accident.app.snapshots().back()).filename();
  const nlohmann::json list = nlohmann::json::parse(accident.app.litepull({"list", "--json"}).out);
  EXPECT_EQ(list["snapshots"][0]["index"], 1);
  EXPECT_TRUE(list["snapshots"][0]["unnumbered"].is_null());
  EXPECT_TRUE(list["snapshots"][1]["index"].is_null());
  EXPECT_EQ(list["snapshots"][1]["unnumbered"], "before-restore");
  EXPECT_TRUE(contains(accident.app.litepull({"list"}).out, "  -  " + safety));
  EXPECT_EQ(accident.command({"verify", safety}).json["snapshots"][0]["name"], safety);
  EXPECT_EQ(accident.command({"verify", "before-restore"}).json["snapshots"][0]["name"], safety);
  EXPECT_EQ(accident.command({"verify", "2"}).code(), 2);
}

}  // namespace
}  // namespace litepull::test
