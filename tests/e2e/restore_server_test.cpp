// Snapshots back onto a live server: whoever has the databases open sees the old or the new state, whatever
// dies in between, and nothing else on the server is touched.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "common/error.h"
#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr const char* kMain = "main.sqlite3";
constexpr const char* kOther = "other.sqlite3";
constexpr int kAccounts = 50;
constexpr uid_t kAppUser = 1000;

// --- A database that tells its generations apart ---------------------------------------------------------

// All of one generation or all of another: rows, pages, schema and balances. `rows` sets its size.
void set_generation(SQLite::Database& database, int generation, int rows) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  database.exec("UPDATE marker SET generation = " + std::to_string(generation));
  database.exec("DELETE FROM bulk");
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) + ") INSERT INTO bulk SELECT i, " + std::to_string(generation) +
                ", randomblob(900) FROM n");
  database.exec("DROP TABLE IF EXISTS extra");
  if (generation == 2) database.exec("CREATE TABLE extra(a)");
  transaction.commit();
}

void make_database(const std::string& path, const std::string& journal_mode, int rows,
                   const std::string& first = "") {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  if (!first.empty()) database.exec(first);
  database.exec("PRAGMA journal_mode=" + journal_mode);
  database.exec(
      "CREATE TABLE marker(generation); INSERT INTO marker VALUES(0);"
      "CREATE TABLE bulk(id INTEGER PRIMARY KEY, generation, body); CREATE INDEX bulk_g ON bulk(generation);"
      "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance); CREATE TABLE ledger(id INTEGER PRIMARY KEY, "
      "n);"
      "CREATE TABLE totals(counter); INSERT INTO totals VALUES(0);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
      std::to_string(kAccounts) + ") INSERT INTO accounts SELECT i, 1000 FROM n;");
  set_generation(database, 1, rows);
}

// The rule that is broken in what one read transaction sees, else nothing; its generation in `generation`.
class Reader {
 public:
  explicit Reader(SQLite::Database& database)
      : look_(database,
              "SELECT (SELECT generation FROM marker), (SELECT min(generation) FROM bulk),"
              " (SELECT max(generation) FROM bulk), (SELECT sum(balance) FROM accounts),"
              " (SELECT count(*) FROM ledger), (SELECT counter FROM totals),"
              " (SELECT count(*) FROM sqlite_schema WHERE name = 'extra')") {}

  std::string broken_rule(int& generation) {
    look_.reset();
    if (!look_.executeStep()) return "nothing to read";
    auto value = [&](int column) { return look_.getColumn(column).getInt(); };
    generation = value(0);
    std::string broken;
    if (value(1) != generation || value(2) != generation) broken = "rows of two generations";
    if (value(3) != 1000 * kAccounts) broken = "money was lost or made";
    if (value(4) != value(5)) broken = "the ledger and its counter differ";
    if (value(6) != generation - 1) broken = "the schema of another generation";
    look_.reset();
    return broken;
  }

 private:
  SQLite::Statement look_;
};

int generation_of(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE, 10'000);
  int generation = 0;
  EXPECT_EQ(Reader(database).broken_rule(generation), "") << path;
  EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok") << path;
  return generation;
}

// --- An app: writers and readers that keep their connections and statements ------------------------------

class Traffic {
 public:
  Traffic(const std::string& path, int writers, int readers) : path_(path) {
    for (int i = 0; i < writers; ++i) threads_.emplace_back([this] { work([this](auto& d) { write(d); }); });
    for (int i = 0; i < readers; ++i) threads_.emplace_back([this] { work([this](auto& d) { read(d); }); });
  }
  ~Traffic() { stop(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  std::int64_t writes() const { return writes_; }
  std::int64_t reads() const { return reads_; }
  std::vector<std::string> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  std::set<int> generations() {
    const std::lock_guard lock(mutex_);
    return generations_;
  }

 private:
  void work(const std::function<void(SQLite::Database&)>& loop) {
    try {
      SQLite::Database database(path_, SQLite::OPEN_READWRITE, 20'000);
      loop(database);
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  void write(SQLite::Database& database) {
    SQLite::Statement begin(database, "BEGIN IMMEDIATE"), commit(database, "COMMIT"),
        take(database, "UPDATE accounts SET balance = balance - 7 WHERE id = ?"),
        give(database, "UPDATE accounts SET balance = balance + 7 WHERE id = ?"),
        log(database, "INSERT INTO ledger(n) VALUES(7)"),
        count(database, "UPDATE totals SET counter = counter + 1");
    std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<int> pick(1, kAccounts);
    auto run = [](SQLite::Statement& statement) {
      statement.exec();
      statement.reset();
    };
    while (!stop_) {
      run(begin);
      take.bind(1, pick(random));
      give.bind(1, pick(random));
      for (SQLite::Statement* statement : {&take, &give, &log, &count, &commit}) run(*statement);
      ++writes_;
      pause_for(Milliseconds(1));
    }
  }

  void read(SQLite::Database& database) {
    Reader reader(database);
    while (!stop_) {
      int generation = 0;
      const std::string broken = reader.broken_rule(generation);
      if (!broken.empty()) fail(broken);
      ++reads_;
      pause_for(Milliseconds(1));
      const std::lock_guard lock(mutex_);
      generations_.insert(generation);
    }
  }

  void fail(const std::string& what) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(what);
  }

  const std::string path_;
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> writes_{0}, reads_{0};
  std::mutex mutex_;  // guards these two
  std::vector<std::string> failures_;
  std::set<int> generations_;
  std::vector<std::thread> threads_;
};

// --- Running it ------------------------------------------------------------------------------------------

struct RestoreRun {
  ProcessResult process;
  nlohmann::json json;

  int exit_code() const { return process.timed_out ? -1 : process.status.code; }
  std::string words() const {
    return "exit code " + std::to_string(exit_code()) + "\n" + process.out + process.err;
  }
  nlohmann::json database(const std::string& name) const {
    if (json.is_object() && json.contains("databases"))
      for (const nlohmann::json& entry : json["databases"])
        if (entry["name"] == name) return entry;
    return {};
  }
};

class RestoreServer {
 public:
  explicit RestoreServer(Over over = Over::kLocal) : app(over) {}

  std::vector<std::string> argv(const std::vector<std::string>& arguments,
                                const std::string& word = "latest-verified") const {
    std::vector<std::string> argv{built_program("litepull"), "restore", app.config_path(), word,
                                  "--to-server"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }

  RestoreRun restore(std::vector<std::string> arguments = {"--yes", "app"},
                     const std::string& word = "latest-verified") const {
    arguments.push_back("--json");
    RestoreRun run;
    run.process = test::run(argv(arguments, word));
    run.json = nlohmann::json::parse(run.process.out, nullptr, false);
    return run;
  }

  // A snapshot of generation 1, and then generation 2 on the server.
  void make(const std::string& journal_mode, int rows_in_snapshot = 2000, int rows_there = 2000) {
    const std::string path = app.in_storage(kMain);
    make_database(path, journal_mode, rows_in_snapshot);
    make_database(app.in_storage(kOther), journal_mode, 20);
    const BackupRun backup = app.backup();
    EXPECT_EQ(backup.exit_code(), 0) << backup.words();
    snapshot = fs::path(backup.snapshot()).filename().string();
    advance(rows_there);
  }

  void advance(int rows) const {
    SQLite::Database database(app.in_storage(kMain), SQLite::OPEN_READWRITE, 20'000);
    set_generation(database, 2, rows);
  }

  std::string state() const { return listing(app.storage()) + fingerprint(app.storage()); }
  std::string path() const { return app.in_storage(kMain); }

  PullFixture app;
  std::string snapshot;
};

void expect_nothing_done(const RestoreServer& server, const std::string& before, std::size_t snapshots) {
  EXPECT_EQ(server.state(), before);
  EXPECT_EQ(server.app.snapshots().size(), snapshots);
}

// --- While the app runs ----------------------------------------------------------------------------------

class BusyApp : public testing::TestWithParam<const char*> {};

TEST_P(BusyApp, SeesTheOldOrTheNewStateAndGoesOn) {
  RestoreServer server;
  server.make(GetParam());
  struct stat was {
  }, is{};
  ASSERT_EQ(::stat(server.path().c_str(), &was), 0);
  const std::string other = file_bytes(server.app.in_storage(kOther));
  Traffic traffic(server.path(), 4, 2);
  for (int i = 0; i < rounds(2, 20); ++i) {
    EXPECT_TRUE(eventually([&] { return traffic.generations().contains(2) && traffic.writes() > 20 * i; }));
    const RestoreRun run = server.restore({"--yes", "app", "--database", kMain}, server.snapshot);
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.database(kMain)["outcome"], "restored");
    const std::int64_t writes = traffic.writes();
    EXPECT_TRUE(eventually([&] { return traffic.writes() > writes + 20; })) << "writers do not go on";
    EXPECT_TRUE(eventually([&] { return traffic.generations().contains(1); })) << "readers do not go on";
    const std::string safety = run.json["safety_snapshot"];
    EXPECT_EQ(run.json["safety_verified"], "ok");
    EXPECT_EQ(why_not_whole(safety), "");
    const nlohmann::json manifest = nlohmann::json::parse(read_file(safety + "/manifest.json"));
    EXPECT_TRUE(manifest["pinned"] == true && manifest["label"] == "before-restore") << manifest;
    EXPECT_EQ(generation_of(safety + "/" + kMain), 2);
    for (const char* left : {"-wal", "-shm"}) fs::remove(safety + "/" + kMain + left);
    server.advance(i % 2 == 0 ? 200 : 5000);
  }
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
  std::printf("  %lld writes and %lld reads meanwhile\n", static_cast<long long>(traffic.writes()),
              static_cast<long long>(traffic.reads()));
  EXPECT_EQ(generation_of(server.path()), 2);
  ASSERT_EQ(::stat(server.path().c_str(), &is), 0);
  EXPECT_TRUE(was.st_ino == is.st_ino && was.st_mode == is.st_mode && was.st_uid == is.st_uid);
  SQLite::Database database(server.path());
  EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), GetParam());
  EXPECT_TRUE(file_bytes(server.app.in_storage(kOther)) == other) << "another database was touched";
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, BusyApp, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

// --- While it does not -----------------------------------------------------------------------------------

class StoppedApp : public testing::TestWithParam<const char*> {};

TEST_P(StoppedApp, HasTheSnapshotsDatabaseThenAndNoFileMore) {
  for (const auto& [in_snapshot, there] : {std::pair{1000, 1000}, {4000, 100}, {100, 4000}}) {
    RestoreServer server;
    server.make(GetParam(), in_snapshot, there);
    const std::string before = names_and_owners(server.app.storage());
    const RestoreRun run = server.restore();
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(names_and_owners(server.app.storage()), before);
    EXPECT_EQ(generation_of(server.path()), 1);
    EXPECT_TRUE(run.json["written_between"].empty()) << run.words();
    // And back again, as it says.
    const RestoreRun undo =
        server.restore({"--yes", "app"}, fs::path(run.json["safety_snapshot"].get<std::string>()).filename());
    ASSERT_EQ(undo.exit_code(), 0) << undo.words();
    EXPECT_EQ(generation_of(server.path()), 2);
  }
}

TEST_P(StoppedApp, SendsOnlyWhatDiffers) {
  RestoreServer server;
  server.make(GetParam(), 8000, 8000);
  ASSERT_EQ(server.restore().exit_code(), 0);
  {
    SQLite::Database database(server.path(), SQLite::OPEN_READWRITE);
    database.exec("UPDATE accounts SET balance = 0 WHERE id = 1");
  }
  const RestoreRun run = server.restore({"--yes", "app"}, server.snapshot);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_LE(run.database(kMain)["differing_pages"].get<int>(), 6) << run.words();
  EXPECT_LE(run.database(kMain)["pages_written"].get<int>(), 6) << run.words();
  EXPECT_EQ(run.database(kOther)["differing_pages"].get<int>(), 1) << "its counters";
  EXPECT_LT(run.json["wire"]["sent_bytes"].get<int>(), 60'000) << run.words();
  EXPECT_EQ(generation_of(server.path()), 1);
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, StoppedApp, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST(RestoreToServer, WhatTheAppWroteAfterTheSafetySnapshotIsNamed) {
  RestoreServer server;
  server.make("wal");
  Traffic traffic(server.path(), 2, 0);
  EXPECT_TRUE(eventually([&] { return traffic.writes() > 10; }));
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.json["written_between"], nlohmann::json::array({kMain})) << run.words();
}

// --- What is refused, and changes nothing ----------------------------------------------------------------

TEST(RestoreToServer, NothingIsDoneUntilTheUserNamesTheApp) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{}, {"--yes", "shop"}, {"--yes", ""}}) {
    const RestoreRun run = server.restore(arguments);
    EXPECT_EQ(run.exit_code(), 2) << run.words();
    expect_nothing_done(server, before, 1);
  }
  EXPECT_EQ(server.restore({"--yes", "app", "--database", "none.sqlite3"}).exit_code(), 2);
  EXPECT_EQ(server.restore({"--yes", "app"}, "2001").exit_code(), 2);
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ADryRunCountsWhatWouldChangeAndChangesNothing) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--dry-run"});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_GT(run.database(kMain)["differing_pages"].get<int>(), 100) << run.words();
  EXPECT_EQ(run.database(kOther)["differing_pages"].get<int>(), 0) << run.words();
  EXPECT_EQ(run.database(kMain)["on_server"], "there");
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ThePlanSaysWhoHasADatabaseOpen) {
  RestoreServer server;
  server.make("wal");
  Child writer = server.app.start_bank("bank.sqlite3", "wal", {"--rate", "1"});
  const BackupRun backup = server.app.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const RestoreRun run = server.restore({"--dry-run", "--database", "bank.sqlite3"});
  const nlohmann::json holders = run.database("bank.sqlite3")["open_in"];
  ASSERT_EQ(holders.size(), 1U) << run.words();
  EXPECT_EQ(holders[0]["pid"], writer.pid());
  EXPECT_EQ(holders[0]["command"], "bank_writer");
}

TEST(RestoreToServer, ASnapshotThatIsNotKnownToBeGoodIsRefused) {
  RestoreServer server;
  make_database(server.path(), "wal", 100);
  const BackupRun backup = server.app.backup({"--verify", "none"});
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app"}, "latest");
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("litepull verify"), std::string::npos) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, ASnapshotsFileThatIsNotWhatItsManifestSaysIsRefused) {
  RestoreServer server;
  server.make("wal");
  const std::string file = server.app.snapshots().at(0) + "/" + kMain;
  std::string bytes = file_bytes(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file(file, bytes);
  const std::string before = server.state();
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, AnotherPageSizeIsRefusedWithTheRemedy) {
  RestoreServer server;
  server.make("wal");
  fs::remove(server.path());
  make_database(server.path(), "wal", 100, "PRAGMA page_size=8192");
  const std::string before = server.state();
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("--to DIR"), std::string::npos) << run.words();
  expect_nothing_done(server, before, 1);
}

TEST(RestoreToServer, AnotherRunsLockIsRespected) {
  RestoreServer server;
  server.make("wal");
  const std::string before = server.state();
  const Fd lock = open_path(server.app.app_directory() + "/.lock", O_RDWR);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 5) << run.words();
  expect_nothing_done(server, before, 1);
}

void fill_disk(const std::string& directory) {
  const std::string block(4096, 'x');
  const Fd ballast = open_path(directory + "/ballast", O_WRONLY | O_CREAT, 0600);
  while (::write(ballast.get(), block.data(), block.size()) > 0) {
  }
}

TEST(RestoreToServer, AMissingDatabaseIsNotBegunOnAFullDisk) {
  RestoreServer server;
  const std::string small = server.app.scratch("small");
  fs::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=16m,mode=0755") != 0)
    GTEST_SKIP() << "a tmpfs cannot be mounted here";
  server.app.move_storage(small);
  server.make("delete");
  fs::remove(server.path());
  fill_disk(small);
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_NE(run.words().find("making it needs"), std::string::npos) << run.words();
  EXPECT_EQ(server.state(), before);
  ::umount2(small.c_str(), MNT_DETACH);
}

TEST(RestoreToServer, AFullDiskOfTheStorageIsRefusedBeforeAnythingIsTouched) {
  RestoreServer server;
  const std::string small = server.app.scratch("small");
  fs::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=16m,mode=0755") != 0)
    GTEST_SKIP() << "a tmpfs cannot be mounted here";
  server.app.move_storage(small);
  server.make("wal");
  {
    SQLite::Database open(server.path(), SQLite::OPEN_READWRITE);
    open.exec("SELECT count(*) FROM bulk");
    fill_disk(small);
    const std::string before = server.state();
    const RestoreRun run = server.restore();
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_NE(run.words().find("nothing was changed"), std::string::npos) << run.words();
    EXPECT_EQ(server.state(), before);
  }
  ::umount2(small.c_str(), MNT_DETACH);
}

// --- Databases that are damaged or not there -------------------------------------------------------------

TEST(RestoreToServer, ADamagedDatabaseIsKeptAsItIsAndMadeWhole) {
  RestoreServer server;
  server.make("delete");
  std::string bytes = file_bytes(server.path());
  std::fill(bytes.begin() + 4096, bytes.end(), '\xA5');
  write_file(server.path(), bytes, 0640);
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.json["safety_verified"], "failed") << run.words();
  EXPECT_FALSE(run.json.contains("undo")) << "a damaged database is not put back";
  EXPECT_TRUE(file_bytes(run.json["safety_snapshot"].get<std::string>() + "/" + kMain) == bytes);
  EXPECT_EQ(generation_of(server.path()), 1);
}

TEST(RestoreToServer, WhatWasReplacedCanBePutBackThoughAnotherDatabaseWasMissing) {
  RestoreServer server;
  server.make("delete");
  fs::remove(server.app.in_storage(kOther));
  const RestoreRun run = server.restore();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.database(kOther)["outcome"], "created");
  const std::string safety = fs::path(run.json["safety_snapshot"].get<std::string>()).filename();
  EXPECT_EQ(run.json["safety_verified"], "failed") << "it must not stand for a snapshot with all databases";
  EXPECT_EQ(run.json["undo"], "litepull restore " + server.app.config_path() + " " + safety +
                                  " --to-server --database " + kMain);
  const RestoreRun undo = server.restore({"--yes", "app", "--database", kMain}, safety);
  ASSERT_EQ(undo.exit_code(), 0) << undo.words();
  EXPECT_EQ(generation_of(server.path()), 2);
  EXPECT_EQ(server.restore({"--yes", "app"}, safety).exit_code(), 1) << "as it is not whole";
}

TEST(RestoreToServer, AFileThatIsNoDatabaseIsLeftAloneUntilItIsMovedAway) {
  RestoreServer server;
  server.make("wal");
  write_file(server.path(), std::string(10'000, 'x'));
  const std::string before = server.state();
  const RestoreRun refused = server.restore();
  EXPECT_EQ(refused.exit_code(), 1) << refused.words();
  EXPECT_NE(refused.words().find("move that file away"), std::string::npos) << refused.words();
  expect_nothing_done(server, before, 1);
  fs::rename(server.path(), server.app.scratch("away"));
  ASSERT_EQ(::chmod(server.app.in_storage(kOther).c_str(), 0660), 0);
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.database(kMain)["outcome"], "created");
  EXPECT_TRUE(run.json["safety_snapshot"].is_null()) << "there was nothing to save";
  EXPECT_TRUE(file_bytes(server.path()) == file_bytes(server.app.snapshots().at(0) + "/" + kMain));
  struct stat status {};
  ASSERT_EQ(::stat(server.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
}

TEST(RestoreToServer, AStaleSidecarIsNeverPlayedIntoADatabaseThatIsMadeNew) {
  RestoreServer server;
  server.make("wal");
  fs::remove(server.path());
  write_file(server.path() + "-wal", "stale");
  const std::string before = server.state();
  const RestoreRun run = server.restore({"--yes", "app", "--database", kMain});
  EXPECT_EQ(run.exit_code(), 1) << run.words();
  EXPECT_EQ(server.state(), before);
}

// A reader of a rollback-mode database that does not end: the first database is restored, the second is not.
TEST(RestoreToServer, ADatabaseThatCannotBeReplacedEndsItThereAndSaysWhichWere) {
  RestoreServer server;
  server.make("delete");
  SQLite::Database reader(server.app.in_storage(kOther), SQLite::OPEN_READWRITE);
  reader.exec("BEGIN");
  reader.execAndGet("SELECT count(*) FROM bulk");
  const RestoreRun run = server.restore();
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  EXPECT_EQ(run.database(kMain)["outcome"], "restored");
  EXPECT_EQ(run.database(kOther)["outcome"], "failed");
  EXPECT_EQ(generation_of(server.path()), 1);
  const RestoreRun first = server.restore({"--yes", "app", "--database", kOther});
  EXPECT_EQ(first.exit_code(), 1) << first.words();
  reader.exec("COMMIT");
  EXPECT_EQ(server.restore({"--yes", "app"}, server.snapshot).exit_code(), 0);
}

// --- Over SSH --------------------------------------------------------------------------------------------

TEST(RestoreOverSsh, WorksAsTheDatabasesOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  RestoreServer server(Over::kSsh);
  const std::vector<const char*> modes{"wal", "delete"};
  for (int i = 0; i < rounds(1, 2); ++i) {
    const char* mode = modes[static_cast<std::size_t>(i)];
    for (const auto& entry : fs::directory_iterator(server.app.storage())) fs::remove_all(entry);
    server.make(mode);
    for (const std::string& path : {server.app.storage(), server.path(), server.app.in_storage(kOther)})
      ASSERT_EQ(::chown(path.c_str(), kAppUser, kAppUser), 0);
    const std::string before = names_and_owners(server.app.storage());
    const RestoreRun run = server.restore({"--yes", "app"}, server.snapshot);
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(names_and_owners(server.app.storage()), before);
    EXPECT_EQ(generation_of(server.path()), 1);
    fs::remove(server.path());
    const RestoreRun fresh = server.restore({"--yes", "app", "--database", kMain}, server.snapshot);
    ASSERT_EQ(fresh.exit_code(), 0) << fresh.words();
    struct stat status {};
    ASSERT_EQ(::stat(server.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, kAppUser);
    EXPECT_EQ(status.st_gid, kAppUser);
  }
}

// --- Whatever dies ---------------------------------------------------------------------------------------

// Restores into which something strikes; the app is there all the time, or never.
class Struck : public testing::TestWithParam<const char*> {
 protected:
  explicit Struck(Over over = Over::kLocal) : over_(over), server_(over) {
    server_.make(GetParam(), kRows, kRows);
    before_ = names();
    const auto start = std::chrono::steady_clock::now();
    const RestoreRun run = server_.restore(kArguments, server_.snapshot);
    lasts_ = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    server_.advance(kRows);
  }

  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(server_.app.storage()))
      names.insert(entry.path().filename().string());
    // An agent that is killed in the pull of the safety snapshot leaves the sidecars of a stopped app's
    // database.
    for (const std::string database : {kMain, kOther})
      for (const char* coming_and_going : {"-wal", "-shm", "-journal"})
        names.erase(database + coming_and_going);
    return names;
  }

  Milliseconds random_moment(Milliseconds within) {
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(0, within.count())(random_));
  }

  // What is there must be of one generation, and the one that the exit code says.
  template <typename Strike>
  void disturb(Strike strike) {
    StartOptions options;
    options.env = {{"LITEPULL_TEST_MARK", mark_}};
    options.stdout_path = server_.app.scratch("restore.out");
    options.stderr_path = server_.app.scratch("restore.err");
    fs::remove(options.stderr_path);
    Child client(server_.argv(kArguments, server_.snapshot), options);
    strike(client);
    const auto status = client.wait(Milliseconds(60'000));
    ASSERT_TRUE(status) << "it hangs";
    EXPECT_TRUE(eventually([&] { return agents().empty(); }, Milliseconds(40'000))) << "the agent stays";
    const int generation = generation_of(server_.path());
    const std::string words =
        "exit code " + std::to_string(status->code) + "\n" + read_file(options.stderr_path);
    if (status->code == 0) {
      EXPECT_EQ(generation, 1) << words;
    }
    if (status->code == 1 || status->code == 3) {
      EXPECT_EQ(generation, 2) << words;
    }
    EXPECT_TRUE(status->signal != 0 || std::set<int>({0, 1, 3, 4}).contains(status->code)) << words;
    // Before it listens to signals it has done nothing.
    if (status->signal == SIGINT) {
      EXPECT_EQ(generation, 2) << words;
    }
    EXPECT_EQ(names(), before_);
    ++outcomes_[std::to_string(status->code) + (generation == 1 ? " new" : " old")];
    const RestoreRun next = server_.restore(kArguments, server_.snapshot);
    EXPECT_EQ(next.exit_code(), 0) << next.words();
    EXPECT_EQ(generation_of(server_.path()), 1);
    server_.advance(kRows);
    keep_few_snapshots();
  }

  // That this test has started, on either side of an sshd, and that still live.
  std::vector<pid_t> agents() {
    std::vector<pid_t> pids;
    if (over_ == Over::kSsh) pids = server_.app.sshd().remote_pids();
    for (const ProcessEntry& entry : processes_with_environment("LITEPULL_TEST_MARK=" + mark_))
      if (entry.name.starts_with("litepull-agent")) pids.push_back(entry.pid);
    return pids;
  }

  void keep_few_snapshots() const {
    const std::vector<std::string> all = server_.app.snapshots();
    for (std::size_t i = 1; i + 2 < all.size(); ++i) fs::remove_all(all[i]);
  }

  void TearDown() override {
    for (const auto& [outcome, count] : outcomes_)
      std::printf("  exit %s: %d times\n", outcome.c_str(), count);
  }

  static constexpr int kRows = 6000;
  const std::vector<std::string> kArguments{"--yes", "app", "--database", kMain};
  const Over over_;
  RestoreServer server_;
  const std::string mark_ = server_.app.scratch("mark");
  std::set<std::string> before_;
  Milliseconds lasts_{0};
  std::mt19937_64 random_{std::random_device{}()};
  std::map<std::string, int> outcomes_;
};

TEST_P(Struck, TheClientAtAnyMoment) {
  Traffic traffic(server_.path(), 1, 1);
  for (int i = 0; i < rounds(3, 50); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      client.kill(SIGKILL);
    });
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

TEST_P(Struck, TheAgentAtAnyMoment) {
  Traffic traffic(server_.path(), 1, 1);
  for (int i = 0; i < rounds(3, 50); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      for (const ProcessEntry& entry : descendants_of(client.pid()))
        if (entry.name.starts_with("litepull-agent")) ::kill(entry.pid, SIGKILL);
    });
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

TEST_P(Struck, CtrlCLeavesNothingHalfDone) {
  for (int i = 0; i < rounds(2, 25); ++i)
    disturb([&](Child& client) {
      pause_for(random_moment(lasts_));
      client.kill(SIGINT);
    });
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, Struck, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

class StruckLink : public Struck {
 protected:
  StruckLink() : Struck(Over::kSsh), proxy_(server_.app.sshd().port()) {
    server_.app.reach_through(proxy_.port());
  }
  TcpProxy proxy_;
};

TEST_P(StruckLink, AtAnyByte) {
  Traffic traffic(server_.path(), 1, 1);
  const std::uint64_t before = proxy_.bytes_up() + proxy_.bytes_down();
  ASSERT_EQ(server_.restore(kArguments, server_.snapshot).exit_code(), 0);
  const std::uint64_t bytes = proxy_.bytes_up() + proxy_.bytes_down() - before;
  server_.advance(kRows);
  std::uniform_int_distribution<std::uint64_t> anywhere(1, bytes), at_the_end(bytes - 3000, bytes + 500);
  for (int i = 0; i < rounds(1, 25); ++i)
    for (const CutMode mode : {CutMode::kFin, CutMode::kReset}) {
      proxy_.cut_after(mode == CutMode::kFin ? anywhere(random_) : at_the_end(random_), mode);
      disturb([&](Child& client) {
        client.wait(Milliseconds(60'000));
        proxy_.cut_after(~std::uint64_t{0} / 2, mode);  // what was not struck must not strike the next try
      });
    }
  traffic.stop();
  EXPECT_EQ(traffic.failures(), std::vector<std::string>{});
}

// Each takes a dozen logins.
std::vector<const char*> modes_over_ssh() {
  return rounds(0, 1) == 1 ? std::vector<const char*>{"wal", "delete"} : std::vector<const char*>{"wal"};
}
INSTANTIATE_TEST_SUITE_P(InJournalMode, StruckLink, testing::ValuesIn(modes_over_ssh()),
                         [](const auto& mode) { return std::string(mode.param); });

}  // namespace
}  // namespace litepull::test
