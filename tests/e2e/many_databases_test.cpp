// Apps with a database for each tenant, and databases that DATABASES does not match.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/posix.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class ManyDatabases : public testing::Test {
 protected:
  ManyDatabases() : app_(Over::kLocal) {}

  // Copies of one, half of them of either journal mode.
  void make(int count) {
    for (const char* mode : {"wal", "delete"}) {
      SQLite::Database database(app_.in_storage(std::string("0-") + mode + ".sqlite3"),
                                SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec(std::string("PRAGMA journal_mode=") + mode);
      database.exec("CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t(b) VALUES (zeroblob(3000))");
    }
    for (int i = 2; i < count; ++i) {
      const std::string mode = i % 2 == 0 ? "wal" : "delete";
      fs::copy_file(app_.in_storage("0-" + mode + ".sqlite3"), app_.in_storage(name_of(i, mode)));
    }
  }

  static std::string name_of(int i, const std::string& mode) {
    return std::to_string(i) + "-" + mode + ".sqlite3";
  }

  void change(int i) {
    SQLite::Database database(app_.in_storage(name_of(i, i % 2 == 0 ? "wal" : "delete")),
                              SQLite::OPEN_READWRITE);
    database.exec("INSERT INTO t(b) VALUES ('changed')");
  }

  int rows_pulled(const BackupRun& run, int i) const {
    SQLite::Database database("file:" + run.file(name_of(i, i % 2 == 0 ? "wal" : "delete")) + "?immutable=1",
                              SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    return database.execAndGet("SELECT count(*) FROM t").getInt();
  }

  // With a limit of open files that this program and the agent cannot raise.
  BackupRun backup_with_open_files(int limit) const {
    RunOptions options;
    options.timeout = Milliseconds(120'000);
    BackupRun run;
    run.process =
        test::run({"/bin/sh", "-c", "ulimit -n " + std::to_string(limit) + "; exec \"$@\"", "sh",
                   built_program("litepull"), "backup", "--json", "--verify=none", app_.config_path()},
                  options);
    const auto json = nlohmann::json::parse(run.process.out, nullptr, false);
    if (!json.is_discarded()) run.json = json.is_array() && !json.empty() ? json[0] : json;
    return run;
  }

  PullFixture app_;
};

TEST_F(ManyDatabases, ArePulledAsTheirDifferenceListedAndRestored) {
  const int count = rounds(1'500, 10'000);
  make(count);
  std::uint64_t started_us = monotonic_us();
  const auto seconds = [&] {
    return static_cast<double>(monotonic_us() - std::exchange(started_us, monotonic_us())) / 1e6;
  };
  const std::string verify = rounds(0, 1) == 1 ? "--verify=full" : "--verify=none";
  const BackupRun first = app_.backup({verify}, Milliseconds(900'000));
  ASSERT_EQ(first.exit_code(), 0) << first.process.err;
  EXPECT_EQ(first.json["databases"].size(), static_cast<std::size_t>(count));
  const double first_s = seconds(), resident = first.json["agent"]["peak_rss_bytes"];
  EXPECT_LT(resident, 64e6);
  EXPECT_EQ(first.json["set_consistency"], "pinned");
  EXPECT_NE(first.json["set_note"].get<std::string>().find("in turns of 256"), std::string::npos)
      << first.words();

  change(7);
  change(count - 2);
  seconds();
  const BackupRun second = app_.backup({verify}, Milliseconds(900'000));
  const double second_s = seconds();
  ASSERT_EQ(second.exit_code(), 0) << second.process.err;
  EXPECT_EQ(second.json["databases"].size(), static_cast<std::size_t>(count));
  EXPECT_EQ(rows_pulled(second, 7), 2);
  EXPECT_EQ(rows_pulled(second, count - 2), 2);
  EXPECT_EQ(rows_pulled(second, 9), 1);
  EXPECT_LT(second.json["wire"]["received_bytes"], first.json["wire"]["received_bytes"]);

  seconds();
  EXPECT_TRUE(app_.litepull({"list"}).ok());
  const double list_s = seconds();
  std::vector<std::string> restore{
      built_program("litepull"), "restore",       app_.config_path(), "latest", "--to",
      app_.scratch("restored"),  "--allow-failed"};
  // Each is checked in a child.
  if (rounds(0, 1) == 0) restore.insert(restore.end(), {"--database", name_of(7, "delete")});
  RunOptions options;
  options.timeout = Milliseconds(900'000);
  const ProcessResult restored = test::run(restore, options);
  EXPECT_TRUE(restored.ok()) << restored.err;
  std::printf(
      "  %d databases: first pull %.1f s, second %.1f s, agent %.1f MB, list %.2f s, restore %.1f s; %s\n",
      count, first_s, second_s, resident / 1e6, list_s, seconds(),
      second.json["set_note"].get<std::string>().c_str());
}

TEST_F(ManyDatabases, DatabasesThatAreTooManyToBeOpenArePinnedInTurns) {
  constexpr int kCount = 300;
  make(kCount);
  const BackupRun first = backup_with_open_files(1024);
  ASSERT_EQ(first.exit_code(), 0) << first.process.err;
  EXPECT_EQ(first.json["databases"].size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(first.json["set_consistency"], "pinned");
  EXPECT_GT(first.json["skew_ms"], 0);
  const std::string note = first.json["set_note"];
  EXPECT_NE(note.find("in turns of 192"), std::string::npos) << note;
  EXPECT_NE(note.find("ulimit -Hn"), std::string::npos) << note;
  for (int i = 0; i < kCount; i += 50) change(i == 0 ? 2 : i);
  const BackupRun second = backup_with_open_files(100);
  ASSERT_EQ(second.exit_code(), 0) << second.process.err;
  EXPECT_EQ(rows_pulled(second, 2), 2);
  EXPECT_EQ(rows_pulled(second, 250), 2);
  EXPECT_EQ(rows_pulled(second, 251), 1);
}

TEST_F(ManyDatabases, WhereTooFewFilesMayBeOpenThatIsTheCauseThatIsNamed) {
  make(4);
  bool named = false;
  for (int limit = 4; limit < 40; ++limit) {
    const BackupRun run = backup_with_open_files(limit);
    if (run.exit_code() == 0) break;
    EXPECT_EQ(run.process.err.find("check that its owner may"), std::string::npos)
        << limit << run.process.err;
    named = named || run.process.err.find("Too many open files") != std::string::npos;
  }
  EXPECT_TRUE(named);
}

class UnmatchedDatabases : public testing::Test {
 protected:
  UnmatchedDatabases() : app_(Over::kLocal) {
    for (const char* name : {"production.sqlite3", "production/acme/main.sqlite3",
                             "production/globex/main.sqlite3", "analytics.db", "it's a.sqlite"}) {
      fs::create_directories(fs::path(app_.in_storage(name)).parent_path());
      SQLite::Database database(app_.in_storage(name), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    }
  }

  PullFixture app_;
};

TEST_F(UnmatchedDatabases, AreNamedByCheckAndBackupWithTheLineThatTakesThemIn) {
  const std::string line = "DATABASES='*.sqlite3 *.db *.sqlite production/*/*.sqlite3'";
  const ProcessResult check = app_.litepull({"check"});
  EXPECT_TRUE(check.ok()) << check.err;
  EXPECT_NE(check.out.find("4 databases are not backed up"), std::string::npos) << check.out;
  EXPECT_NE(check.out.find(line), std::string::npos) << check.out;
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(run.process.err.find(line), std::string::npos) << run.words();
  EXPECT_EQ(run.json["unmatched"]["databases"], 4);
  EXPECT_EQ(run.json["unmatched"]["complete"], true);
  EXPECT_EQ(run.json["unmatched"]["patterns"][2]["pattern"], "production/*/*.sqlite3") << run.words();

  app_.set("DATABASES", "*.sqlite3 *.db *.sqlite production/*/*.sqlite3");
  const BackupRun all = app_.backup();
  EXPECT_EQ(all.exit_code(), 0) << all.words();
  EXPECT_EQ(all.json["databases"].size(), 5U);
  EXPECT_EQ(all.json["unmatched"]["databases"], 0);
  EXPECT_EQ(all.process.err.find("not backed up"), std::string::npos) << all.words();
}

TEST_F(UnmatchedDatabases, AreNamedByTheErrorWhereNothingMatches) {
  app_.set("DATABASES", "*.sqlite4");
  for (const char* command : {"check", "backup"}) {
    const ProcessResult said = app_.litepull({command});
    EXPECT_EQ(said.status.code, 2) << said.err;
    const std::string words = said.out + said.err;
    EXPECT_NE(words.find("set DATABASES='*.db *.sqlite *.sqlite3 production/*/*.sqlite3'"), std::string::npos)
        << words;
  }
}

}  // namespace
}  // namespace litepull::test
