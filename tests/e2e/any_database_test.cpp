// Sound databases of any name, shape and size, in any directory that DATABASES chooses: each is published as
// it is, or refused by its name.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/error.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr Milliseconds kPatience{30'000};  // far more than any of this takes

// --- Names ---

// Of every kind of bytes that a file's name may have, and of those that mean something to somebody.
std::string random_name(std::mt19937_64& random) {
  static const std::vector<std::string> kMeant{"manifest.json",
                                               ".manifest.json.new",
                                               ".hashes",
                                               "a-WAL",
                                               "a-Shm",
                                               "~",
                                               "-rf",
                                               "a b",
                                               "a'b\"",
                                               "$HOME",
                                               "*",
                                               "[a]",
                                               "%s%n",
                                               "\\",
                                               ".lock",
                                               "..a",
                                               "con",
                                               "a.",
                                               " "};
  const auto below = [&](std::size_t end) { return random() % end; };
  std::string name;
  if (below(8) == 0) name = kMeant[below(kMeant.size())];
  const std::size_t size = below(4) == 0 ? 1 + below(255) : 1 + below(12);
  const std::size_t kind = below(3);  // any byte, letters, or UTF-8
  while (name.size() < size) {
    if (kind == 2) name += std::array{"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\xb0", "e\xcc\x81"}[below(4)];
    char byte = static_cast<char>(kind == 0 ? below(256) : 'A' + below(58));
    if (byte != '/' && byte != '\0') name += byte;
  }
  name.resize(std::min<std::size_t>(name.size(), 255));
  return name == "." || name == ".." ? "x" : name;
}

bool is_skipped(const std::string& name) {  // another database's, as SQLite has it
  return name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("-journal");
}

TEST(DatabasesOfAnyName, ArePublishedOrRefusedByTheirNames) {
  std::mt19937_64 random(std::random_device{}());
  int published = 0, refused = 0;
  for (int round = 0; round < rounds(1, 40) && !testing::Test::HasFailure(); ++round) {
    PullFixture app(Over::kLocal);
    app.set("DATABASES", "*");
    SQLite::Database(app.scratch("one"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("CREATE TABLE t(x)");
    std::set<std::string> names;
    while (names.size() < 250) names.insert(random_name(random));
    for (const std::string& name : names) fs::copy_file(app.scratch("one"), app.in_storage(name));
    const std::string before = listing(app.storage()), content = file_bytes(app.scratch("one"));

    const BackupRun run = app.backup({}, Milliseconds(120'000));
    EXPECT_EQ(listing(app.storage()), before);
    ASSERT_EQ(run.exit_code(), 4) << run.words();
    std::erase_if(names, is_skipped);
    ASSERT_EQ(run.json["databases"].size(), names.size());
    std::multiset<std::string> errors;
    for (const auto& entry : run.json["databases"]) {
      const std::string name = entry["name"];
      if (entry["error"].is_object()) {
        EXPECT_NE(entry["error"]["message"].get<std::string>().find("name"), std::string::npos) << entry;
        errors.insert(name);
        continue;
      }
      EXPECT_EQ(entry["verified"], "ok") << entry;
      EXPECT_EQ(names.erase(name), 1U) << name << " is no name in the storage";
      EXPECT_EQ(file_bytes(run.file(name)), content) << name;
      ++published;
    }
    // What is left has been refused, by a name that a terminal can show.
    EXPECT_EQ(errors.size(), names.size());
    for (const std::string& name : names)
      EXPECT_TRUE(!is_clean_utf8(name) || errors.contains(name)) << name << " is passed over in silence";
    refused += static_cast<int>(errors.size());
  }
  std::printf("  %d published, %d refused by their names\n", published, refused);
  EXPECT_GT(published, 0);
  EXPECT_GT(refused, 0);
}

// --- Sizes and shapes ---

// Of each page size: one page, some, and what is left after rows went; with each auto_vacuum.
TEST(DatabasesOfEveryShape, ArePublishedAsTheyAre) {
  PullFixture app(Over::kSsh);
  for (int page_size = 512; page_size <= 65536; page_size *= 2)
    for (int auto_vacuum = 0; auto_vacuum <= 2; ++auto_vacuum)
      for (const char* mode : {"delete", "wal"}) {
        const std::string name =
            std::to_string(page_size) + "-" + std::to_string(auto_vacuum) + mode + ".sqlite3";
        SQLite::Database database(app.in_storage(name), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        database.exec("PRAGMA page_size=" + std::to_string(page_size) +
                      "; PRAGMA auto_vacuum=" + std::to_string(auto_vacuum) + "; PRAGMA user_version=7");
        if (page_size % 1024 == 0 || auto_vacuum > 0)
          database.exec(
              "CREATE TABLE t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
              "200)"
              " INSERT INTO t SELECT randomblob(900) FROM n; DELETE FROM t WHERE rowid % 2 = 0");
        database.exec(std::string("PRAGMA journal_mode=") + mode);
      }
  const auto check = [&](const BackupRun& run) {
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.json["databases"].size(), 48U);
    for (const auto& entry : run.json["databases"]) {
      const std::string name = entry["name"];
      EXPECT_EQ(entry["verified"], "ok") << name;
      EXPECT_EQ(entry["page_size"], std::atoi(name.c_str())) << name;
      EXPECT_EQ(file_bytes(run.file(name)), file_bytes(app.in_storage(name))) << name;
    }
  };
  check(app.backup());
  // Grown, shrunk, and cut to what is used.
  int turn = 0;
  for (const auto& entry : fs::directory_iterator(app.storage())) {
    SQLite::Database database(entry.path().string(), SQLite::OPEN_READWRITE);
    database.exec("CREATE TABLE IF NOT EXISTS t(x)");
    database.exec(++turn % 2 == 0 ? "INSERT INTO t SELECT randomblob(70000) FROM (VALUES (1), (2), (3))"
                                  : "DELETE FROM t");
    database.exec(turn % 3 == 0 ? "VACUUM" : "PRAGMA incremental_vacuum");
  }
  check(app.backup());
}

// SQLite leaves the page out that has the byte at 1 GiB:
// https://sqlite.org/fileformat2.html#the_lock_byte_page
TEST(DatabasePastOneGib, IsPublishedAsItIs) {
  if (rounds(0, 1) == 0) GTEST_SKIP() << "writes some 4 GB; LITEPULL_LONG=1 runs it";
  for (const int page_size : {4096, 65536}) {
    PullFixture app(Over::kLocal);
    app.set("IDLE_TIMEOUT", "300");
    const std::string path = app.in_storage("large.sqlite3");
    {
      SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("PRAGMA page_size=" + std::to_string(page_size) +
                    "; PRAGMA synchronous=OFF; CREATE TABLE t(x)");
      database.exec(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1090)"
          " INSERT INTO t SELECT zeroblob(1000000) || randomblob(8) FROM n");
    }
    ASSERT_GT(fs::file_size(path), (1ULL << 30) + 1'000'000);
    const BackupRun run = app.backup({}, Milliseconds(600'000));
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_TRUE(litepull::test::run({"cmp", path, run.file("large.sqlite3")}).ok());
    SQLite::Database(path, SQLite::OPEN_READWRITE)
        .exec("PRAGMA synchronous=OFF; UPDATE t SET x = randomblob(1000000) WHERE rowid > 1060");
    const BackupRun next = app.backup({}, Milliseconds(600'000));
    ASSERT_EQ(next.exit_code(), 0) << next.words();
    EXPECT_TRUE(litepull::test::run({"cmp", path, next.file("large.sqlite3")}).ok());
  }
}

// --- Choosing ---

TEST(Databases, AreChosenByNameInDirectoriesToo) {
  PullFixture app(Over::kSsh);
  fs::create_directories(app.in_storage("tenants/eu"));
  for (const char* name : {"app.sqlite3", "cache.sqlite3", "tenants/one.sqlite3", "tenants/eu/two.sqlite3",
                           "tenants/cache.sqlite3"})
    app.make_bank(name, "wal");
  auto pulled = [&] {
    const BackupRun run = app.backup({}, kPatience);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    std::set<std::string> names;
    for (const auto& entry : run.json["databases"]) {
      names.insert(entry["name"]);
      EXPECT_EQ(check_bank(run.file(entry["name"]), 1).failure, "");
    }
    return names;
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(pulled(), (Names{"app.sqlite3", "cache.sqlite3"}));
  app.set("DATABASES", "**/*.sqlite3");
  EXPECT_EQ(pulled(), (Names{"app.sqlite3", "cache.sqlite3", "tenants/cache.sqlite3",
                             "tenants/eu/two.sqlite3", "tenants/one.sqlite3"}));
  app.set("EXCLUDE", "cache.sqlite3 tenants/eu/**");
  EXPECT_EQ(pulled(), (Names{"app.sqlite3", "tenants/cache.sqlite3", "tenants/one.sqlite3"}));
  app.set("EXCLUDE", "**/cache.sqlite3");
  EXPECT_EQ(pulled(), (Names{"app.sqlite3", "tenants/eu/two.sqlite3", "tenants/one.sqlite3"}));
}

}  // namespace
}  // namespace litepull::test
