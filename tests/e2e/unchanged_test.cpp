// A database that nobody has committed to since the last pull is not read again on the server, nor checked
// again here. litepull never says that of a database that somebody has committed to.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>

#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/random_database.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWal = "wal.sqlite3";
constexpr const char* kRollback = "rollback.sqlite3";

// A write so long ago is told from a later one by the file's times.
void let_times_settle() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));
}

// As a user would see it; `edit` changes it, and the checksum that guards it goes.
void edit_manifest(const std::string& snapshot, const std::function<void(nlohmann::json&)>& edit) {
  const std::string path = snapshot + "/manifest.json";
  auto manifest = nlohmann::json::parse(read_file(path));
  manifest["format"] = 1;
  manifest.erase("checksum");
  edit(manifest);
  write_file(path, manifest.dump());
}

std::string hours_ago(int hours) {
  const std::time_t then = std::time(nullptr) - hours * 3600;
  std::tm parts{};
  ::gmtime_r(&then, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
  return text;
}

class Unchanged : public testing::TestWithParam<Over> {
 protected:
  Unchanged() : app_(GetParam()) {
    make_rows(app_.in_storage(kWal), 3'000, 4'000);
    make_rows(app_.in_storage(kRollback), 3'000, 4'000, "delete");
    let_times_settle();
  }

  // A right snapshot of both.
  BackupRun pull_rightly(const std::vector<std::string>& arguments = {"--verify=none"}) {
    BackupRun run = app_.backup(arguments);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    if (run.snapshot().empty()) throw std::runtime_error("nothing was published: " + run.words());
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(why_hashes_do_not_fit(run.snapshot()), "");
    return run;
  }

  // Its page hashes would be 4 bytes a page.
  static bool was_compared(const BackupRun& run, const std::string& name) {
    return run.json["wire"]["sent_bytes"].get<std::uint64_t>() >
           4 * run.database(name)["pages"].get<std::uint64_t>();
  }

  PullFixture app_;
};

INSTANTIATE_TEST_SUITE_P(BothWays, Unchanged, testing::Values(Over::kLocal, Over::kSsh),
                         [](const auto& over) { return over.param == Over::kSsh ? "OverSsh" : "Locally"; });

TEST_P(Unchanged, IsNotReadAgainAndIsWholeHere) {
  const BackupRun first = pull_rightly();
  const std::string base = make_older(first.snapshot());
  const BackupRun second = pull_rightly();
  for (const char* name : {kWal, kRollback}) {
    EXPECT_EQ(why_not_equal(second.file(name), base + "/" + name), "");
    EXPECT_EQ(second.database(name)["changed_pages"], 0);
    EXPECT_EQ(second.database(name)["base"], fs::path(base).filename().string());
    EXPECT_EQ(second.database(name)["read_at"], first.database(name)["read_at"]);
    EXPECT_FALSE(was_compared(second, name));
  }
  EXPECT_LT(second.json["wire"]["received_bytes"].get<std::uint64_t>(), 64U * 1024);
}

TEST_P(Unchanged, IsSaidOfNoDatabaseThatWasCommittedTo) {
  const std::string base = make_older(pull_rightly().snapshot());
  SQLite::Database(app_.in_storage(kRollback), SQLite::OPEN_READWRITE)
      .exec("UPDATE t SET body = 'new' WHERE id = 7");
  const BackupRun run = pull_rightly();
  EXPECT_EQ(why_not_equal(run.file(kRollback), app_.in_storage(kRollback)), "");
  EXPECT_EQ(why_not_equal(run.file(kWal), base + "/" + kWal), "");
  EXPECT_NE(run.database(kRollback)["read_at"], run.database(kWal)["read_at"]);
}

TEST_P(Unchanged, IsNotSaidWhenTheCommitIsInTheLogAlone) {
  SQLite::Database writer(app_.in_storage(kWal), SQLite::OPEN_READWRITE);
  writer.exec("PRAGMA wal_autocheckpoint=0");
  writer.exec("UPDATE t SET body = 'old' WHERE id = 7");
  make_older(pull_rightly().snapshot());
  const BackupRun idle = pull_rightly();
  EXPECT_FALSE(was_compared(idle, kWal));
  make_older(idle.snapshot(), 0);
  writer.exec("UPDATE t SET body = 'new' WHERE id = 7");
  const BackupRun run = pull_rightly();
  SQLite::Database pulled("file:" + run.file(kWal) + "?immutable=1",
                          SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  EXPECT_EQ(pulled.execAndGet("SELECT body FROM t WHERE id = 7").getString(), "new");
}

TEST_P(Unchanged, IsReadAgainOnceADay) {
  for (const auto& [hours, compared] : {std::pair(19, false), std::pair(21, true), std::pair(-1, true)}) {
    const std::string then = hours_ago(hours);
    keep_snapshot(app_, make_older(pull_rightly({"--verify=none", "--full"}).snapshot()));
    edit_manifest(app_.snapshots().back(), [&](auto& manifest) {
      for (auto& database : manifest["databases"]) database["read_at"] = then;
    });
    const BackupRun run = pull_rightly();
    EXPECT_EQ(was_compared(run, kWal), compared) << hours;
    EXPECT_EQ(run.database(kWal)["changed_pages"], 0);
    EXPECT_EQ(run.database(kWal)["read_at"] == then, !compared) << hours;
  }
}

TEST_P(Unchanged, IsNoExcuseForADamagedBase) {
  const std::string base = make_older(pull_rightly().snapshot());
  std::string content = read_file(base + "/" + kWal);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 4);
  write_file(base + "/" + kWal, content);
  const BackupRun run = pull_rightly();
  EXPECT_EQ(why_not_equal(run.file(kWal), app_.in_storage(kWal)), "");
  EXPECT_NE(run.process.err.find("no longer matches the checksum"), std::string::npos) << run.words();
  EXPECT_TRUE(run.database(kWal)["base"].is_null());
}

TEST_P(Unchanged, IsNoExcuseForAnotherManifest) {
  const std::string base = make_older(pull_rightly().snapshot());
  edit_manifest(base, [](auto& manifest) {
    for (auto& database : manifest["databases"])
      database["keyed_digest"] = "00112233445566778899aabbccddeeff";
  });
  const BackupRun run = pull_rightly();
  for (const char* name : {kWal, kRollback})
    EXPECT_EQ(why_not_equal(run.file(name), app_.in_storage(name)), "");
}

// The rows are not counted again: what an earlier check had counted is taken over.
TEST_P(Unchanged, IsNotCheckedAgainWhenItWasAsThoroughly) {
  const int kMark = 12'345;
  const auto mark = [kMark](auto& manifest) {
    for (auto& database : manifest["databases"]) database["tables"][0]["rows"] = kMark;
  };
  const auto rows = [](const BackupRun& run) { return run.database(kWal)["tables"][0]["rows"]; };
  edit_manifest(make_older(pull_rightly({"--verify=quick"}).snapshot(), 3), mark);
  EXPECT_EQ(rows(pull_rightly({"--verify=quick"})), kMark);
  edit_manifest(make_older(app_.snapshots().back(), 2), mark);
  EXPECT_EQ(rows(pull_rightly({"--verify=full"})), 3'000);
  edit_manifest(make_older(app_.snapshots().back(), 1), mark);
  const BackupRun again = pull_rightly({"--verify=full"});
  EXPECT_EQ(rows(again), kMark);
  EXPECT_EQ(again.json["verified"], "ok");
  EXPECT_EQ(again.database(kWal)["verified"], "ok");
  EXPECT_EQ(rows(pull_rightly({"--full"})), 3'000);
}

TEST_P(Unchanged, IsCheckedAgainByAnotherVersion) {
  edit_manifest(make_older(pull_rightly({}).snapshot()), [](auto& manifest) {
    manifest["tool"] = "litepull 0.0.1";
    for (auto& database : manifest["databases"]) database["tables"] = nlohmann::json::array();
  });
  EXPECT_EQ(pull_rightly({}).database(kWal)["tables"][0]["rows"], 3'000);
}

TEST_P(Unchanged, IsCheckedWhenItWasNotOrWasFoundDamaged) {
  const std::string base = make_older(pull_rightly().snapshot(), 1);
  const BackupRun run = pull_rightly({});
  EXPECT_EQ(run.database(kWal)["verified"], "ok");
  EXPECT_EQ(run.database(kWal)["tables"][0]["rows"], 3'000);
  edit_manifest(make_older(run.snapshot()), [](auto& manifest) {
    manifest["verified"] = "failed";
    for (auto& database : manifest["databases"]) {
      database["verified"] = "failed";
      database["tables"] = nlohmann::json::array();
    }
  });
  EXPECT_EQ(pull_rightly({}).database(kWal)["tables"][0]["rows"], 3'000);
}

// --- whatever happened to the databases ------------------------------------------------------------------

// Many at once, since each round waits for the files' times to settle.
TEST(UnchangedAtRandom, IsSaidOfNoneThatHasChanged) {
  PullFixture app(Over::kLocal);
  std::mt19937_64 random(test_seed());
  std::map<std::string, std::unique_ptr<RandomDatabase>> databases;
  for (int i = 0; i < 12; ++i) {
    const std::string name = std::to_string(i) + ".sqlite3";
    databases[name] = std::make_unique<RandomDatabase>(app.in_storage(name), random);
  }
  int unread = 0;
  std::string base_read_at;
  for (int round = 0; round < rounds(4, 100); ++round) {
    let_times_settle();
    const BackupRun delta = pull(app), full = pull(app, {"--full"});
    ASSERT_EQ(delta.exit_code(), 0) << delta.words();
    ASSERT_EQ(full.exit_code(), 0) << full.words();
    for (const auto& [name, database] : databases) {
      ASSERT_EQ(why_not_equal(delta.file(name), full.file(name)), "") << "round " << round;
      if (delta.database(name)["read_at"] == base_read_at) ++unread;
    }
    base_read_at = full.database("0.sqlite3")["read_at"];
    keep_snapshot(app, make_older(full.snapshot()));
    for (auto& [name, database] : databases) {
      if (pick(random, 0, 2) > 0) continue;
      database->step();
      if (pick(random, 0, 1) == 0) database->keep_open();
    }
  }
  EXPECT_GT(unread, 0);  // or this says nothing
}

}  // namespace
}  // namespace litepull::test
