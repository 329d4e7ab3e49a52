// Where files can share their blocks, a new snapshot begins as a clone of the newest one, which must not
// change.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kName = "main.sqlite3";
constexpr std::uint64_t kLittle = 2 << 20;

// Both ways to write: past the page cache, or through it since the copy will be checked.
class SharedBlocks : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    disk_.emplace(app_.scratch("disk.img"), app_.workspace());
    if (!disk_->mounted()) GTEST_SKIP() << "XFS cannot be mounted here";
    make_rows(app_.in_storage(kName), 10'000, 4'000);  // 40 MB
    base_ = make_older(pull_rightly().snapshot(), 1);
    before_ = fingerprint(base_);
    used_bytes_ = used_bytes();
  }

  BackupRun pull_rightly() {
    BackupRun run = app_.backup({std::string("--verify=") + GetParam()});
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(why_hashes_do_not_fit(run.snapshot()), "");
    EXPECT_EQ(why_not_equal(run.file(kName), app_.in_storage(kName)), "");
    return run;
  }

  // What is not written yet has no place on the disk.
  std::uint64_t used_bytes() const {
    EXPECT_TRUE(test::run({"sync", "-f", app_.workspace()}).ok());
    const fs::space_info space = fs::space(app_.workspace());
    return space.capacity - space.free;
  }

  std::uint64_t taken_by(const BackupRun& run) {
    const std::uint64_t now = used_bytes();
    EXPECT_TRUE(run.json.is_object());
    return now - std::min(now, used_bytes_);
  }

  PullFixture app_{Over::kLocal};
  std::optional<SharingDisk> disk_;
  std::string base_, before_;
  std::uint64_t used_bytes_ = 0;
};

INSTANTIATE_TEST_SUITE_P(BothWays, SharedBlocks, testing::Values("none", "full"),
                         [](const auto& way) { return std::string("Verify") + way.param; });

TEST_P(SharedBlocks, WhatHasNotChangedTakesNoRoomAgain) {
  for (const int settled_ms : {0, 2'100}) {  // compared page by page, and not read at all
    std::this_thread::sleep_for(std::chrono::milliseconds(settled_ms));
    const BackupRun run = pull_rightly();
    EXPECT_EQ(run.database(kName)["changed_pages"], 0);
    EXPECT_EQ(run.database(kName)["shared_bytes"], run.database(kName)["bytes"]);
    EXPECT_LT(taken_by(run), kLittle);
    make_older(run.snapshot());
  }
  EXPECT_EQ(fingerprint(base_), before_);
}

TEST_P(SharedBlocks, WhatChangesIsWrittenBesideTheBase) {
  std::mt19937_64 random(test_seed());
  change_rows(app_.in_storage(kName), 100, random);
  const BackupRun run = pull_rightly();
  EXPECT_GT(run.database(kName)["changed_pages"], 50);
  EXPECT_LT(taken_by(run), kLittle);
  EXPECT_EQ(fingerprint(base_), before_);
}

TEST_P(SharedBlocks, AShorterAndALongerDatabaseAreRight) {
  {
    SQLite::Database database(app_.in_storage(kName), SQLite::OPEN_READWRITE);
    database.exec("DELETE FROM t WHERE id % 4 > 0; VACUUM");
  }
  make_older(pull_rightly().snapshot());
  {
    SQLite::Database database(app_.in_storage(kName), SQLite::OPEN_READWRITE);
    database.exec(
        "INSERT INTO t (body) SELECT randomblob(4000) FROM t, (SELECT 1 UNION SELECT 2 UNION SELECT 3)");
  }
  pull_rightly();
  EXPECT_EQ(fingerprint(base_), before_);
}

TEST_P(SharedBlocks, ADamagedBaseIsFoundOut) {
  std::string content = read_file(base_ + "/" + kName);
  content[content.size() / 3] = static_cast<char>(content[content.size() / 3] ^ 1);
  write_file(base_ + "/" + kName, content);
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));
  const BackupRun run = pull_rightly();
  EXPECT_NE(run.process.err.find("no longer matches the checksum"), std::string::npos) << run.words();
  EXPECT_TRUE(run.database(kName)["base"].is_null());
}

}  // namespace
}  // namespace litepull::test
