// Snapshots that a disk, a person or a server has damaged. Each damage is found and named.
#include "client/verify/verify_snapshot.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>

#include "client/base/file_digest.h"
#include "client/sandbox/page_owners.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::kDatabaseName;
using test::long_or;
using test::read_file;
using test::SmallSnapshot;
using test::words;
using test::write_file;
using State = DatabaseReport::State;
using Hashes = FileComparison::Hashes;

// Does what the children would do, without starting any.
Checks checks_here() {
  return {[](const std::string& path, CheckDepth depth, std::uint64_t, const Cancel&) {
            return check_file(path, depth);
          },
          [](const std::string& path, std::uint32_t page_size, const std::vector<std::uint32_t>& pages,
             std::uint64_t, const Cancel&) { return page_owners(path, page_size, pages); },
          test::small_snapshot_key()};
}

SnapshotReport verify(const SmallSnapshot& snapshot, const Manifest& manifest,
                      const Checks& checks = checks_here(), CheckDepth depth = CheckDepth::kFull) {
  Board board(stderr, false);
  Progress progress(board, "billing");
  const Fd dir = snapshot.store().open_snapshot(snapshot.name());
  return verify_snapshot(dir.get(), snapshot.path(), manifest, {depth, checks, {}, progress});
}

SnapshotReport verify(const SmallSnapshot& snapshot) {
  return verify(snapshot, snapshot.manifest());
}

// A file with changed bits. The destructor restores it.
class Changed {
 public:
  Changed(std::string path, std::string content) : path_(std::move(path)), original_(read_file(path_)) {
    write_file(path_, content);
  }
  ~Changed() { write_file(path_, original_); }

 private:
  std::string path_, original_;
};

std::string flipped(const std::string& path, std::size_t bit) {
  std::string content = read_file(path);
  content.at(bit / 8) = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
  return content;
}

std::vector<std::uint32_t> all_pages(const SmallSnapshot& snapshot) {
  std::vector<std::uint32_t> pages;
  for (std::uint32_t page = 1; page <= snapshot.manifest().databases[0].pages; ++page) pages.push_back(page);
  return pages;
}

std::vector<std::string> owners(const SmallSnapshot& snapshot) {
  return page_owners(snapshot.file(), snapshot.page_size(), all_pages(snapshot));
}

// The first page whose owner's text contains `part`.
std::uint32_t page_of(const SmallSnapshot& snapshot, const std::string& part) {
  const auto all = owners(snapshot);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (contains(all[i], part)) return static_cast<std::uint32_t>(i) + 1;
  ADD_FAILURE() << "no page is " << part;
  return 1;
}

Stranger only_stranger(const SmallSnapshot& snapshot) {
  const Listing listing = snapshot.store().list();
  EXPECT_TRUE(listing.snapshots.empty());
  return listing.strangers.size() == 1 ? listing.strangers[0] : Stranger{};
}

TEST(CheckFile, RowsThatBreakACheckConstraintAreTheAppsData) {
  const test::TempDir dir;
  const std::string path = dir / "a.sqlite3";
  {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "CREATE TABLE t(x INT CHECK(x > 0)); PRAGMA ignore_check_constraints=ON; INSERT INTO t VALUES(-1)");
  }
  const FileCheck check = check_file(path, CheckDepth::kFull);
  EXPECT_EQ(check.problems, std::vector<std::string>{});
  ASSERT_EQ(check.tables.size(), 1U);
  EXPECT_EQ(check.tables[0].rows, 1);
}

TEST(VerifySnapshot, TakesTheNamesOfTablesThatAnEarlierOneCut) {
  const SmallSnapshot snapshot;
  const std::string name(700, 'n');
  Checks checks = checks_here();
  checks.check = [&](const std::string& path, CheckDepth depth, std::uint64_t, const Cancel&) {
    FileCheck check = check_file(path, depth);
    check.tables.push_back({short_name(name + "1", kMaxTableNameBytes), 7});
    check.tables.push_back({short_name(name + "2", kMaxTableNameBytes), 9});
    return check;
  };
  Manifest manifest = snapshot.manifest();
  manifest.databases[0].tables.push_back({name.substr(0, 500), 9});
  EXPECT_TRUE(verify(snapshot, manifest, checks).all_good());
  manifest.databases[0].tables.back().rows = 8;
  EXPECT_TRUE(contains(words(verify(snapshot, manifest, checks)), "rows, the manifest says 8"));
}

TEST(VerifySnapshot, CountsTablesWhoseNamesAreTheSameWhenShown) {
  const SmallSnapshot snapshot;
  Checks checks = checks_here();
  checks.check = [&](const std::string& path, CheckDepth depth, std::uint64_t, const Cancel&) {
    FileCheck check = check_file(path, depth);
    check.tables.push_back({"\xEF\xBF\xBD", 7});
    check.tables.push_back({"\xEF\xBF\xBD", 9});
    return check;
  };
  Manifest manifest = snapshot.manifest();
  manifest.databases[0].tables.push_back({"\xEF\xBF\xBD", 7});
  manifest.databases[0].tables.push_back({"\xEF\xBF\xBD", 9});
  EXPECT_TRUE(verify(snapshot, manifest, checks).all_good());
}

TEST(VerifySnapshot, FindsNothingWrongWithASoundOne) {
  const SmallSnapshot snapshot;
  const std::string before = test::listing(snapshot.path());
  for (const CheckDepth depth : {CheckDepth::kFull, CheckDepth::kQuick}) {
    const SnapshotReport report =
        verify(snapshot, snapshot.manifest(), checks_in_children(test::small_snapshot_key()), depth);
    EXPECT_TRUE(report.all_good()) << words(report);
    EXPECT_EQ(report.databases.at(0).hashes, Hashes::kUsable);
    EXPECT_EQ(report.databases[0].tables, snapshot.manifest().databases[0].tables);
  }
  EXPECT_EQ(test::listing(snapshot.path()), before);
}

// --- flipped bits ----------------------------------------------------------------------------------------

void expect_page_named(const SmallSnapshot& snapshot, std::size_t bit, const std::vector<std::string>& truth,
                       std::map<std::string, int>& told) {
  const SnapshotReport report = verify(snapshot);
  const DatabaseReport& database = report.databases.at(0);
  const std::size_t page = bit / 8 / snapshot.page_size();  // from 0
  ASSERT_EQ(database.state, State::kDamaged) << "bit " << bit;
  ASSERT_EQ(database.name, kDatabaseName);
  ASSERT_EQ(database.damaged_pages, 1U) << "bit " << bit << "\n" << words(report);
  ASSERT_EQ(database.pages.at(0).page, page + 1) << "bit " << bit;
  const std::string& owner = database.pages[0].owner;
  ASSERT_FALSE(owner.empty());
  const bool unknown = owner.starts_with("not reached") || owner.starts_with("what it belongs to");
  ++told[owner == truth[page] ? "right" : unknown ? "unknown" : "other words"];
  // A damaged page may look like one of another kind, but it must never be attributed to another table.
  if (!unknown && contains(truth[page], "\"") && page != 0) {
    EXPECT_EQ(owner.substr(0, owner.find(" (")), truth[page].substr(0, truth[page].find(" (")));
  }
}

void expect_manifest_named(const SmallSnapshot& snapshot, std::size_t bit) {
  const Stranger stranger = only_stranger(snapshot);
  ASSERT_EQ(stranger.name, snapshot.name()) << "bit " << bit;
  ASSERT_TRUE(stranger.damaged) << "bit " << bit;
  ASSERT_TRUE(contains(stranger.reason, "manifest.json")) << stranger.reason;
}

void expect_hashes_named(const SmallSnapshot& snapshot, std::size_t bit) {
  const SnapshotReport report = verify(snapshot);
  ASSERT_EQ(report.databases.at(0).state, State::kGood) << "bit " << bit << "\n" << words(report);
  ASSERT_EQ(report.problems.size(), 1U) << "bit " << bit;
  ASSERT_TRUE(contains(report.problems[0], std::string(".hashes/") + kDatabaseName)) << report.problems[0];
}

TEST(VerifySnapshot, NamesTheFileAndThePageOfEverySingleFlippedBit) {
  const SmallSnapshot snapshot;
  const std::vector<std::string> truth = owners(snapshot);
  const int flips = long_or(400, 10'000);
  std::mt19937_64 random(20261122);
  std::map<std::string, int> told;
  for (int i = 0; i < flips && !testing::Test::HasFatalFailure(); ++i) {
    const int kind = i % 4;
    const std::string path = kind == 2   ? snapshot.manifest_file()
                             : kind == 3 ? snapshot.hash_file()
                                         : snapshot.file();
    const std::uint64_t bits = fs::file_size(path) * 8;
    const auto step = static_cast<std::uint64_t>(i / 4), steps = static_cast<std::uint64_t>(flips / 4 + 1);
    const std::size_t bit = (bits * step / steps + random() % (bits / steps + 1)) % bits;
    const Changed changed(path, flipped(path, bit));
    if (kind == 2) expect_manifest_named(snapshot, bit);
    if (kind == 3) expect_hashes_named(snapshot, bit);
    if (kind < 2) expect_page_named(snapshot, bit, truth, told);
  }
  std::printf("%d flips; owner of the page: %d told exactly, %d with other words, %d not known\n", flips,
              told["right"], told["other words"], told["unknown"]);
  EXPECT_GT(told["right"], flips / 2 * 9 / 10);
  EXPECT_TRUE(verify(snapshot).all_good());
}

TEST(VerifySnapshot, ReportsEveryTruncation) {
  const SmallSnapshot snapshot;
  const std::string content = read_file(snapshot.file());
  for (std::size_t size = 0; size < content.size(); size += 512) {
    const Changed changed(snapshot.file(), content.substr(0, size));
    const SnapshotReport report = verify(snapshot);
    const DatabaseReport& database = report.databases.at(0);
    ASSERT_EQ(database.state, State::kDamaged) << size;
    ASSERT_TRUE(contains(database.problems.at(0), "has " + std::to_string(size) + " bytes")) << words(report);
    if (size < snapshot.page_size()) continue;  // not one whole page
    ASSERT_EQ(database.damaged_pages, snapshot.manifest().databases[0].pages - size / snapshot.page_size());
    ASSERT_EQ(database.pages.at(0).page, size / snapshot.page_size() + 1);
  }
  const std::string manifest = read_file(snapshot.manifest_file());
  for (std::size_t size = 0; size < manifest.size(); size += 64) {
    const Changed changed(snapshot.manifest_file(), manifest.substr(0, size));
    expect_manifest_named(snapshot, size);
  }
  const std::string hashes = read_file(snapshot.hash_file());
  for (std::size_t size = 0; size < hashes.size(); size += 16) {
    const Changed changed(snapshot.hash_file(), hashes.substr(0, size));
    expect_hashes_named(snapshot, size);
  }
}

TEST(VerifySnapshot, SaysHowMuchLongerAFileIsThanItShouldBe) {
  const SmallSnapshot snapshot;
  const Changed changed(snapshot.file(), read_file(snapshot.file()) + std::string(700, 'x'));
  const SnapshotReport report = verify(snapshot);
  EXPECT_EQ(report.databases.at(0).state, State::kDamaged);
  EXPECT_TRUE(contains(words(report), "bytes, the manifest says")) << words(report);
}

// --- what a page belongs to ------------------------------------------------------------------------------

TEST(PageOwners, AreTablesIndexesAndPagesWithoutRows) {
  const SmallSnapshot plain;
  for (const char* part : {"header of the file", "table \"accounts\"", "table \"accounts\" (an interior page",
                           "index \"accounts_by_name\" of table \"accounts\"",
                           "table \"documents\" (part of a long row", "table \"codes\"", "a free page"})
    EXPECT_GT(page_of(plain, part), 0U) << part;
  for (const std::string& owner : owners(plain)) EXPECT_FALSE(contains(owner, "not reached")) << owner;
  const SmallSnapshot vacuuming({true});
  EXPECT_EQ(page_of(vacuuming, "a pointer map"), 2U);
  for (const std::string& owner : owners(vacuuming)) EXPECT_FALSE(contains(owner, "not reached")) << owner;
}

TEST(PageOwners, KnowThePageOfTheLockBytes) {
  const SmallSnapshot snapshot;
  ASSERT_EQ(::truncate(snapshot.file().c_str(), (1LL << 30) + 8192), 0);  // takes no room
  EXPECT_TRUE(contains(page_owners(snapshot.file(), 1024, {(1 << 20) + 1}).at(0), "lock bytes"));
}

TEST(PageOwners, ArePutDownToADamagedPageAboveThem) {
  const SmallSnapshot snapshot;
  const std::uint32_t interior = page_of(snapshot, "table \"accounts\" (an interior page");
  const auto all = owners(snapshot);
  const auto leaf =
      static_cast<std::uint32_t>(std::find(all.begin(), all.end(), "table \"accounts\"") - all.begin()) + 1;
  ASSERT_LE(leaf, all.size());
  std::string content = read_file(snapshot.file());
  content.replace((interior - 1) * std::size_t{1024}, 1024, std::string(1024, '\x7F'));
  content[(leaf - 1) * std::size_t{1024} + 900] ^= 1;
  const Changed changed(snapshot.file(), content);
  const SnapshotReport report = verify(snapshot);
  const DatabaseReport& database = report.databases.at(0);
  ASSERT_EQ(database.pages.size(), 2U) << words(report);
  EXPECT_TRUE(contains(words(report), "below another damaged page, of table \"accounts\"")) << words(report);
}

TEST(PageOwners, OfAFileWithoutItsHeaderAreKnownAsFarAsTheyNeedNone) {
  const SmallSnapshot snapshot;
  const Changed changed(snapshot.file(), flipped(snapshot.file(), 3));
  const std::vector<std::string> all = owners(snapshot);
  EXPECT_TRUE(contains(all.at(0), "header of the file")) << all[0];
  EXPECT_TRUE(contains(all.at(1), "cannot be told: file is not a database")) << all[1];
}

TEST(PageOwners, OfADamagedListOfTablesAreSaidNotToBeKnown) {
  const SmallSnapshot snapshot;
  std::string content = read_file(snapshot.file());
  content.replace(100, 900, std::string(900, '\xEE'));
  const Changed changed(snapshot.file(), content);
  for (const std::string& owner : owners(snapshot)) EXPECT_FALSE(owner.empty());
}

TEST(VerifySnapshot, WithoutPageHashesSaysThatPagesCannotBeTold) {
  const SmallSnapshot snapshot;
  const Changed changed(snapshot.file(), flipped(snapshot.file(), 40'000));
  {
    const Changed hashes(snapshot.hash_file(), flipped(snapshot.hash_file(), 0));
    EXPECT_TRUE(contains(words(verify(snapshot)), "cannot be told")) << words(verify(snapshot));
    EXPECT_TRUE(contains(words(verify(snapshot)), ".hashes/")) << "its damage is told, too";
  }
  fs::remove_all(snapshot.path() + "/.hashes");
  const SnapshotReport report = verify(snapshot);
  EXPECT_TRUE(contains(words(report), "keeps no page hashes")) << words(report);
  EXPECT_TRUE(report.databases.at(0).pages.empty());
}

TEST(VerifySnapshot, NeedsNoPageHashes) {
  const SmallSnapshot snapshot;
  fs::remove_all(snapshot.path() + "/.hashes");
  EXPECT_TRUE(verify(snapshot).all_good());
}

// --- what else is in the directory -----------------------------------------------------------------------

TEST(VerifySnapshot, NamesWhatIsMissingAndWhatDoesNotBelong) {
  const SmallSnapshot snapshot;
  for (const char* ending : {"-wal", "-shm", "-journal"}) write_file(snapshot.file() + ending, "");
  write_file(snapshot.path() + "/notes/todo.txt", "");
  write_file(snapshot.path() + "/.hashes/other.sqlite3", "");
  fs::create_symlink("/etc/passwd", snapshot.path() + "/link.sqlite3");
  write_file(snapshot.path() + "/.manifest.json.new", "{");  // a kill while a result was recorded
  const SnapshotReport extra = verify(snapshot);
  EXPECT_EQ(extra.databases.at(0).state, State::kGood);
  EXPECT_EQ(extra.problems.size(), 6U) << words(extra);
  for (const char* part :
       {"sqlite3-wal lies beside", "sqlite3-shm lies beside", "sqlite3-journal lies beside",
        "notes/todo.txt is not in the manifest", ".hashes/other.sqlite3 is not in the manifest",
        "link.sqlite3 is not in the manifest"})
    EXPECT_TRUE(contains(words(extra), part)) << part;
  fs::remove(snapshot.file());
  const SnapshotReport missing = verify(snapshot);
  EXPECT_EQ(missing.databases.at(0).state, State::kMissing);
  EXPECT_TRUE(contains(words(missing), std::string(kDatabaseName) + ": the manifest names it"))
      << words(missing);
  fs::create_symlink("/etc/passwd", snapshot.file());
  EXPECT_NE(verify(snapshot).databases.at(0).state, State::kGood);
}

TEST(VerifySnapshot, WithoutItsManifestIsDamagedAndNotOfTheOldScript) {
  const SmallSnapshot snapshot;
  fs::remove(snapshot.manifest_file());
  EXPECT_TRUE(only_stranger(snapshot).damaged);
  EXPECT_TRUE(contains(only_stranger(snapshot).reason, "no manifest"));
}

TEST(VerifySnapshot, NamesADatabaseThatWasNotBackedUp) {
  const SmallSnapshot snapshot;
  Manifest manifest = snapshot.manifest();
  manifest.databases.emplace_back().name = "cache.sqlite3";
  manifest.databases[1].error = Manifest::Failure{"failed", "it is not on the server", ""};
  const SnapshotReport report = verify(snapshot, manifest);
  EXPECT_FALSE(report.all_good());
  EXPECT_TRUE(contains(words(report), "cache.sqlite3: it was not backed up")) << words(report);
}

TEST(VerifySnapshot, ComparesRowCounts) {
  const SmallSnapshot snapshot;
  Manifest manifest = snapshot.manifest();
  ASSERT_EQ(manifest.databases[0].tables.at(0).name, "accounts");
  manifest.databases[0].tables[0].rows = 401;
  manifest.databases[0].tables.push_back({"vanished", 1});
  const SnapshotReport report = verify(snapshot, manifest);
  EXPECT_EQ(report.databases.at(0).state, State::kDamaged);
  EXPECT_TRUE(contains(words(report), "table accounts has 400 rows, the manifest says 401")) << words(report);
  EXPECT_TRUE(contains(words(report), "no table vanished")) << words(report);
}

// A file can equal the server's and yet be damaged, because it was damaged there.
TEST(VerifySnapshot, ReportsWhatSqliteFindsInAFileWithTheRightChecksum) {
  const SmallSnapshot snapshot;
  const std::uint32_t page = page_of(snapshot, "index \"accounts_by_name\"");
  const std::string content = flipped(snapshot.file(), (page * std::size_t{1024} - 3) * 8);
  const Changed changed(snapshot.file(), content);
  Manifest manifest = snapshot.manifest();
  StreamingDigest digest;
  digest.add({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  manifest.databases[0].xxh128 = to_hex(digest.result());
  const SnapshotReport report = verify(snapshot, manifest, checks_in_children(test::small_snapshot_key()));
  EXPECT_EQ(report.databases.at(0).state, State::kDamaged) << words(report);
}

TEST(VerifySnapshot, OfWhatCouldNotBeLookedIntoSaysSo) {
  const SmallSnapshot snapshot;
  Checks checks = checks_here();
  checks.check = [](const std::string&, CheckDepth, std::uint64_t, const Cancel&) {
    FileCheck check;
    check.problems.push_back(std::string(kNotChecked) + "no memory");
    return check;
  };
  EXPECT_EQ(verify(snapshot, snapshot.manifest(), checks).databases.at(0).state, State::kUnchecked);
}

}  // namespace
}  // namespace litepull
