// Somebody who can store a blob in the app must not be able to make two states of its database that
// litepull takes for one. These tests use such a pair: their XXH3 checksums with the public secret are
// equal.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

#include "common/wire/bytes.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/twins.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kName = "production.sqlite3";
constexpr int kBlobBytes = 40'000;

class ChecksumTwins : public testing::TestWithParam<Over> {
 protected:
  ChecksumTwins() : app_(GetParam()) {
    SQLite::Database database(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA page_size=4096; PRAGMA journal_mode=DELETE; CREATE TABLE uploads(body BLOB)");
    std::mt19937_64 random(1);
    std::string body(kBlobBytes, '\0');
    for (char& c : body) c = static_cast<char>(random());
    SQLite::Statement insert(database, "INSERT INTO uploads VALUES(?1)");
    insert.bind(1, body.data(), kBlobBytes);
    insert.exec();
    find_place(body);
    twins_ = make_twins(body.substr(static_cast<std::size_t>(place_), kTwinBytes));
  }

  std::string path() const { return app_.in_storage(kName); }

  // A KiB of the blob that is one of the file, too.
  void find_place(const std::string& body) {
    const std::string file = read_file(path());
    for (std::size_t at = kTwinBytes; at + kTwinBytes <= file.size() && place_ < 0; at += kTwinBytes) {
      const std::size_t in_blob = body.find(file.substr(at, kTwinBytes));
      if (in_blob != std::string::npos) place_ = static_cast<int>(in_blob);
    }
    if (place_ < 0) throw std::runtime_error("the blob lies nowhere as it should");
  }

  // In place, so that no other page changes.
  void store(int twin) {
    SQLite::Database database(path(), SQLite::OPEN_READWRITE);
    sqlite3_blob* blob = nullptr;
    ASSERT_EQ(sqlite3_blob_open(database.getHandle(), "main", "uploads", "body", 1, 1, &blob), SQLITE_OK);
    EXPECT_EQ(sqlite3_blob_write(blob, twins_[static_cast<std::size_t>(twin)].data(), kTwinBytes, place_),
              SQLITE_OK);
    EXPECT_EQ(sqlite3_blob_close(blob), SQLITE_OK);
  }

  // The two files differ in their change counters, too, which the attacker could also set: they are made
  // equal.
  void make_the_rest_equal() {
    std::string file = read_file(path());
    for (const std::size_t counter : {std::size_t{24}, std::size_t{92}}) file.replace(counter, 4, 4, '\1');
    write_file(path(), file);
  }

  BackupRun pull_of(int twin) {
    store(twin);
    make_the_rest_equal();
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(why_not_equal(run.file(kName), path()), "");
    return run;
  }

  PullFixture app_;
  int place_ = -1;
  std::array<std::string, 2> twins_;
};

TEST_P(ChecksumTwins, AreTwoStatesForPullsDiffsAndRestores) {
  const BackupRun first = pull_of(0), second = pull_of(1);
  ASSERT_EQ(first.database(kName)["xxh128"], second.database(kName)["xxh128"])
      << "these are no twins: the test shows nothing";
  EXPECT_NE(first.database(kName)["keyed_digest"], second.database(kName)["keyed_digest"]);
  EXPECT_EQ(second.database(kName)["changed_pages"], 1);

  const std::string a = fs::path(first.snapshot()).filename(), b = fs::path(second.snapshot()).filename();
  const ProcessResult diff = run({built_program("litepull"), "diff", app_.config_path(), a, b});
  EXPECT_EQ(diff.status.code, 0) << diff.err;
  EXPECT_NE(diff.out.find("uploads"), std::string::npos) << diff.out;

  const ProcessResult restore =
      run({built_program("litepull"), "restore", app_.config_path(), a, "--to-server", "--yes", "app"});
  ASSERT_EQ(restore.status.code, 0) << restore.err;
  EXPECT_EQ(restore.out.find("wrote"), std::string::npos) << "nobody wrote to it meanwhile:\n" << restore.out;
  const std::string now = read_file(path());
  EXPECT_NE(now.find(twins_[0]), std::string::npos) << "the snapshot's state is not what is there now";
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ChecksumTwins, testing::Values(Over::kSsh, Over::kLocal),
                         [](const auto& over) { return over.param == Over::kSsh ? "Ssh" : "Local"; });

}  // namespace
}  // namespace litepull::test
