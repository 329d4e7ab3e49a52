// Snapshots that a disk, a person or a server has damaged. Each damage is found and named.
#include "client/verify/verify_snapshot.h"
#include "client/base/clock.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>

#include "client/base/file_digest.h"
#include "client/sandbox/child.h"
#include "client/sandbox/page_owners.h"
#include "client/verify/verify.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/sandbox/small_snapshot.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using test::kDatabaseName;
using test::long_or;
using test::read_file;
using test::SmallSnapshot;
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

std::string words(const SnapshotReport& report) {
  std::string text;
  for (const auto& database : report.databases) {
    for (const auto& problem : database.problems) text += database.name + ": " + problem + "\n";
    for (const auto& page : database.pages)
      text += "  page " + std::to_string(page.page) + ": " + page.owner + "\n";
  }
  for (const auto& problem : report.problems) text += problem + "\n";
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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

// --- the limits of a check -------------------------------------------------------------------------------

// A database that takes many short steps to check.
void make_large(const std::string& path, int rows) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=off; PRAGMA synchronous=off; CREATE TABLE t(a, b, c, d)");
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) +
                ") INSERT INTO t SELECT random(), random(), random(), random() FROM n");
  for (const char* column : {"a", "b", "c", "d"})
    database.exec(std::string("CREATE INDEX i") + column + " ON t(" + column + ")");
}

TEST(TheLimitsOfACheck, LetWorkThatGoesOnTakeAsLongAsItNeeds) {
  constexpr std::uint64_t kShortStallMs = 1'000;
  const test::TempDir dir;
  std::uint64_t took_us = 0;
  for (int rows = long_or(400'000, 3'000'000); took_us < 2 * kShortStallMs * 1000; rows *= 2) {
    fs::remove(dir / "a.sqlite3");
    make_large(dir / "a.sqlite3", rows);
    const auto bytes = fs::file_size(dir / "a.sqlite3");
    const std::uint64_t begin_us = monotonic_us();
    const FileCheck check =
        check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, bytes, {}, kShortStallMs);
    took_us = monotonic_us() - begin_us;
    ASSERT_EQ(check.problems, std::vector<std::string>{});
  }
  std::printf("  a check of %.1f s, with signs of life at least every %.1f s\n",
              static_cast<double>(took_us) / 1e6, static_cast<double>(kShortStallMs) / 1e3);
}

// The index is on an expression that takes for ever with the value in its row.
TEST(TheLimitsOfACheck, EndWorkThatGetsNowhereAndSayThatTheFileWasNotChecked) {
  const test::TempDir dir;
  const std::string endless = "CREATE INDEX i ON t(instr(hex(zeroblob(x)), hex(zeroblob(x / 2)) || ''1''))";
  const auto set_schema = [&](const std::string& sql) {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "CREATE TABLE IF NOT EXISTS t(x); CREATE INDEX IF NOT EXISTS i ON t(x); PRAGMA writable_schema=ON");
    database.exec("INSERT INTO t SELECT 50000000 WHERE NOT EXISTS (SELECT 1 FROM t)");
    database.exec("UPDATE sqlite_schema SET sql = '" + sql + "' WHERE name = 'i'");
  };
  set_schema(endless);
  const FileCheck check = check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, 100'000, {}, 2'000);
  ASSERT_EQ(check.problems.size(), 1U);
  EXPECT_EQ(check.problems[0],
            std::string(kNotChecked) + "the check was not finished: it got nowhere for 2 s and was ended");
}

TEST(TheLimitsOfACheck, GrowWithTheFileAndNotInSteps) {
  constexpr std::uint64_t kGiB = 1ULL << 30;
  EXPECT_GE(max_cpu_s(0), 3600U);
  EXPECT_GT(max_cpu_s(kGiB - 1), max_cpu_s(kGiB / 2));
  EXPECT_GE(max_cpu_s(100 * kGiB), 99 * max_cpu_s(kGiB) / 2);
  EXPECT_LT(max_cpu_s(kGiB), 24 * 3600U) << "a hostile file ends some day";
  EXPECT_GE(max_memory_bytes(kGiB), 5 * kGiB) << "a row of a billion bytes";
}

TEST(TheLimitsOfACheck, SayWhichOneItWas) {
  EXPECT_EQ(end_of_child(0), "");
  EXPECT_TRUE(
      contains(end_of_child(SIGXCPU), "more processor time than a sound database of that size needs"));
  EXPECT_TRUE(contains(end_of_child(SIGKILL), "memory runs out"));
  EXPECT_TRUE(contains(end_of_child(SIGSEGV), "it crashed (signal 11)"));
  EXPECT_EQ(end_of_child(3 << 8), "it ended with status 3");
}

TEST(TheLimitsOfACheck, HoldARowOfHundredsOfMegabytes) {
  const test::TempDir dir;
  const int bytes = long_or(280 << 20, 900'000'000);
  {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=off; PRAGMA synchronous=off; CREATE TABLE t(x NOT NULL)");
    database.exec("INSERT INTO t VALUES(zeroblob(" + std::to_string(bytes) + "))");
  }
  const FileCheck check =
      check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, fs::file_size(dir / "a.sqlite3"), {});
  EXPECT_EQ(check.problems, std::vector<std::string>{});
}

TEST(TheLimitsOfACheck, AreNotMetByTenThousandTablesWithLongNames) {
  const test::TempDir dir;
  const int tables = long_or(1'000, 10'000);
  {
    SQLite::Database database(dir / "a.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=off; BEGIN");
    for (int i = 0; i < tables; ++i)
      database.exec("CREATE TABLE \"" + std::to_string(i) + std::string(1'000, '\x01') + "\"(x)");
    database.exec("COMMIT");
  }
  const FileCheck check =
      check_file_in_child(dir / "a.sqlite3", CheckDepth::kFull, fs::file_size(dir / "a.sqlite3"), {});
  EXPECT_EQ(check.problems, std::vector<std::string>{});
  EXPECT_EQ(check.tables.size(), static_cast<std::size_t>(tables));
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

// --- recording -------------------------------------------------------------------------------------------

SnapshotReport report_with(State state) {
  SnapshotReport report;
  DatabaseReport& database = report.databases.emplace_back();
  database.name = kDatabaseName;
  database.state = state;
  if (state != State::kGood) database.problems = {"its checksum is wrong"};
  database.pages = {{7, "table \"accounts\""}};
  return report;
}

Manifest manifest_with(Verified verified, const std::string& verify) {
  Manifest manifest;
  manifest.verify = verify;
  manifest.verified = verified;
  manifest.verified_at = "before";
  manifest.databases.emplace_back().name = kDatabaseName;
  manifest.databases[0].verified = verified;
  return manifest;
}

// Returns what is recorded after a check, as "verified by verify", or "untouched".
std::string recorded(State state, CheckDepth depth, Verified verified, const std::string& verify) {
  Manifest manifest = manifest_with(verified, verify);
  const Manifest before = manifest;
  if (!apply_report(report_with(state), depth, 1000, manifest)) {
    EXPECT_EQ(manifest, before);
    return "untouched";
  }
  EXPECT_EQ(manifest.verified_at, rfc3339_utc(1000));
  EXPECT_EQ(manifest.databases[0].problems.empty(), manifest.verified == Verified::kOk);
  return std::string(verified_text(manifest.verified)) + " by " + manifest.verify;
}

TEST(RecordingAResult, FullChecksCountWhateverWasThere) {
  for (const Verified before : {Verified::kOk, Verified::kFailed, Verified::kSkipped, Verified::kPending})
    for (const char* verify : {"full", "quick", "none"}) {
      EXPECT_EQ(recorded(State::kGood, CheckDepth::kFull, before, verify), "ok by full");
      EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kFull, before, verify), "failed by full");
      EXPECT_EQ(recorded(State::kMissing, CheckDepth::kFull, before, verify), "failed by full");
    }
}

TEST(RecordingAResult, QuickChecksNeitherUndoNorClaimAFullOne) {
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kFailed, "full"), "untouched");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kOk, "full"), "untouched");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kPending, "full"), "ok by quick");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kSkipped, "none"), "ok by quick");
  EXPECT_EQ(recorded(State::kGood, CheckDepth::kQuick, Verified::kFailed, "quick"), "ok by quick");
  EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kQuick, Verified::kOk, "full"), "failed by full");
  EXPECT_EQ(recorded(State::kDamaged, CheckDepth::kQuick, Verified::kSkipped, "none"), "failed by quick");
}

TEST(RecordingAResult, AQuickCheckOfSomeClaimsNoFullOneForThem) {
  Manifest manifest = manifest_with(Verified::kPending, "full");
  manifest.databases.push_back(manifest.databases[0]);
  manifest.databases[1].name = "other.sqlite3";
  SnapshotReport report = report_with(State::kGood);
  report.databases.push_back(report_with(State::kUnchecked).databases[0]);
  report.databases[1].name = "other.sqlite3";
  ASSERT_TRUE(apply_report(report, CheckDepth::kQuick, 1000, manifest));
  EXPECT_EQ(manifest.databases[0].verified, Verified::kOk);
  EXPECT_EQ(manifest.verify, "quick");
}

TEST(RecordingAResult, WhatCouldNotBeCheckedStaysAsItWas) {
  for (const Verified before : {Verified::kOk, Verified::kFailed, Verified::kPending})
    EXPECT_EQ(recorded(State::kUnchecked, CheckDepth::kFull, before, "full"), "untouched");
}

// --- the old script's directories ------------------------------------------------------------------------

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
