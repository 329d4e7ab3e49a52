// The old script's directories, and files that are hostile.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <cstdio>
#include <filesystem>

#include "client/sandbox/page_owners.h"
#include "client/verify/verify_snapshot.h"
#include "common/posix.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::long_or;
using test::read_file;
using test::words;
using test::write_file;
using State = DatabaseReport::State;

class OldScript : public testing::Test {
 protected:
  OldScript() {
    fs::create_directory(path());
    {
      SQLite::Database database(live_ / "x.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a)");
      for (int i = 0; i < 50; ++i) database.exec("INSERT INTO t VALUES (randomblob(500))");
      for (const char* ending : {"", "-wal", "-shm"})
        fs::copy_file(live_ / "x.sqlite3" + ending, path() + "/x.sqlite3" + ending);
    }
  }

  std::string path() const { return store_.path_of(name_); }

  SnapshotReport verify() const {
    std::string before = test::listing(path());
    for (const auto& entry : fs::directory_iterator(path())) before += read_file(entry.path().string());
    Board board(stderr, false);
    Progress progress(board, "billing");
    const SnapshotReport report = verify_old_script(
        store_, name_, {CheckDepth::kFull, checks_in_children(test::small_snapshot_key()), {}, progress});
    std::string after = test::listing(path());
    for (const auto& entry : fs::directory_iterator(path())) after += read_file(entry.path().string());
    EXPECT_TRUE(before == after) << "it was changed";
    EXPECT_EQ(std::distance(fs::directory_iterator(store_.path()), fs::directory_iterator()), 1)
        << "a work directory was left";
    return report;
  }

  test::TempDir dir_, live_;
  Store store_{dir_ / "backups", "billing", Store::Missing::kCreate};
  const std::string name_ = "2026-11-20T020000+0100";
};

TEST_F(OldScript, IsCheckedWithItsWalAndLeftAsItIs) {
  const SnapshotReport report = verify();
  EXPECT_TRUE(report.all_good()) << words(report);
  ASSERT_EQ(report.databases.at(0).tables.size(), 1U);
  EXPECT_EQ(report.databases[0].tables[0].rows, 50);
}

TEST_F(OldScript, WhoseLastPageIsCutOffIsDamaged) {
  SQLite::Database database(live_ / "x.sqlite3", SQLite::OPEN_READWRITE);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE; DELETE FROM t; VACUUM");
  for (const char* ending : {"-wal", "-shm"}) fs::remove(path() + "/x.sqlite3" + ending);
  write_file(path() + "/x.sqlite3", read_file(live_ / "x.sqlite3").substr(0, 5000));
  const SnapshotReport report = verify();
  ASSERT_EQ(report.databases.at(0).state, DatabaseReport::State::kDamaged) << words(report);
  EXPECT_EQ(report.databases[0].problems.at(0), "the file is cut off: it has 5000 of 8192 bytes");
}

TEST_F(OldScript, WithDamageIsNamedAndLeftAsItIs) {
  std::string wal = read_file(path() + "/x.sqlite3-wal");
  write_file(path() + "/x.sqlite3", std::string(4096, 'g'));
  fs::remove(path() + "/x.sqlite3-wal");
  fs::copy_file(live_ / "x.sqlite3", path() + "/y.sqlite3");
  const SnapshotReport report = verify();
  ASSERT_EQ(report.databases.size(), 2U);
  EXPECT_EQ(report.databases[0].state, State::kDamaged) << words(report);
  EXPECT_EQ(report.databases[1].state, State::kGood) << "one bad one does not hide the others";
}

// --- hostile files ---------------------------------------------------------------------------------------

// A collection of files beside the source tree where the project is developed.
fs::path corpus() {
  return fs::path(__FILE__).parent_path() / "../../../../shared/corpus/corrupt-databases.tar.zst";
}

TEST(HostileFiles, NeverHangOrKillWhoeverAsksWhatTheirPagesAre) {
  if (!fs::exists(corpus())) GTEST_SKIP() << "there is no " << corpus();
  const test::TempDir dir;
  if (!test::run({"tar", "--zstd", "-xf", corpus().string(), "-C", dir.path().string()}).ok())
    GTEST_SKIP() << "tar cannot read zstd here";
  const int every = long_or(8, 1);
  int seen = 0, asked = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
    if (!entry.is_regular_file() || seen++ % every != 0) continue;
    ++asked;
    const std::string path = entry.path().string();
    const auto said = page_owners_in_child(path, 4096, {1, 2, 3, 7, 1000}, entry.file_size(), {});
    ASSERT_EQ(said.size(), 5U);
    for (const std::string& owner : said) EXPECT_FALSE(owner.empty()) << path;
  }
  std::printf("corpus: %d files asked about\n", asked);
  EXPECT_GT(asked, 0);
}

TEST(HostileFiles, NeverHangOrKillARecovery) {
  if (!fs::exists(corpus())) GTEST_SKIP() << "there is no " << corpus();
  const test::TempDir dir, unpacked;
  if (!test::run({"tar", "--zstd", "-xf", corpus().string(), "-C", unpacked.path().string()}).ok())
    GTEST_SKIP() << "tar cannot read zstd here";
  const Store store(dir / "backups", "billing", Store::Missing::kCreate);
  const std::string name = "2026-11-20T020000+0100";
  fs::create_directory(store.path_of(name));
  const int every = long_or(8, 1);
  int seen = 0, copied = 0;
  for (const auto& entry : fs::recursive_directory_iterator(unpacked.path()))
    if (entry.is_regular_file() && seen++ % every == 0)
      fs::copy_file(entry.path(), store.path_of(name) + "/" + std::to_string(++copied) + ".sqlite3");
  Board board(stderr, false);
  Progress progress(board, "billing");
  const SnapshotReport report = verify_old_script(
      store, name, {CheckDepth::kFull, checks_in_children(test::small_snapshot_key()), {}, progress});
  ASSERT_EQ(report.databases.size(), static_cast<std::size_t>(copied));
  int good = 0;
  for (const DatabaseReport& database : report.databases) {
    good += database.state == State::kGood ? 1 : 0;
    EXPECT_EQ(database.state == State::kGood, database.problems.empty()) << database.name;
  }
  std::printf("corpus: %d of %d are sound\n", good, copied);
  EXPECT_LT(good, copied);
}

}  // namespace
}  // namespace litepull
