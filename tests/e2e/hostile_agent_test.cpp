// A server that was broken into, seen from the workstation. Whatever it sends, a run fails cleanly,
// publishes nothing, writes nothing outside the app's directory, and uses bounded memory and time.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "common/wire/protocol.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr Milliseconds kTimeout{30'000};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr long kMaxMemoryKib = 2048 * 1024;  // most of it the sanitizer's
#else
constexpr long kMaxMemoryKib = 256 * 1024;
#endif

struct Expectation {
  std::string script;
  std::string words;  // what the user is told, in part
};

// Every script of tests/support/hostile_agent.cpp that must end a run. The words make sure that it ends for
// the reason that it was written for.
const std::vector<Expectation> kRefused{
    {"nothing", "does not answer as an agent"},
    {"noise-without-lines", "prints a lot, but no agent"},
    {"noise-of-lines", "prints a lot, but no agent"},
    {"greeting-of-another-version", "said nothing for too long"},
    {"silence", "said nothing for too long"},
    {"ends-after-the-greeting", "ended too early"},
    {"ends-inside-a-header", "the stream ends inside a frame"},
    {"ends-inside-a-body", "the stream ends inside a frame"},
    {"ends-inside-a-database", "ended too early"},
    {"ends-before-the-end-message", "ended too early"},
    {"ends-before-done", "ended too early"},
    {"garbage", "broke the protocol"},
    {"frame-of-4-gib", "a frame larger than its cap"},
    {"pages-frame-of-4-gib", "a frame larger than its cap"},
    {"unknown-type", "unknown message type 200"},
    {"a-clients-message", "a message out of turn"},
    {"header-of-a-later-version", "bits of a later version"},
    {"alive-with-a-body", "a frame larger than its cap"},
    {"no-hello", "a message out of turn"},
    {"hello-twice", "a message out of turn"},
    {"hello-of-another-version", "different versions"},
    {"hello-with-more", "broke the protocol"},
    {"done-at-once", "a message out of turn"},
    {"index-out-of-order", "databases out of order"},
    {"page-size-0", "a page size that SQLite does not have"},
    {"page-size-3000", "a page size that SQLite does not have"},
    {"page-size-of-others", "pages of another size"},
    {"page-size-too-large", "a page size that SQLite does not have"},
    {"no-pages", "a page count out of range"},
    {"too-many-pages", "a page count out of range"},
    {"larger-than-the-disk", "the disk of LOCAL_BACKUP_ROOT has"},
    {"no-set", "a message out of turn"},
    {"an-empty-set", "no database"},
    {"another-number-of-databases", "another number of databases than announced"},
    {"one-database-too-many", "too many databases"},
    {"too-many-words", "too many words on its databases"},
    {"all-databases-failed", "no database could be pulled"},
    {"pages-out-of-order", "pages out of order"},
    {"pages-twice", "pages out of order"},
    {"pages-past-the-count", "pages past the end of the database"},
    {"one-run-past-the-count", "pages past the end of the database"},
    {"a-page-missing", "an end before all pages were sent"},
    {"pages-with-a-gap", "pages out of order"},
    {"no-pages-at-all", "an end before all pages were sent"},
    {"page-0", "page runs out of order"},
    {"run-of-4-billion-pages", "page runs past the last page there can be"},
    {"runs-that-overflow", "page"},
    {"no-runs", "a number of page runs out of range"},
    {"5000-runs", "a number of page runs out of range"},
    {"more-runs-than-bytes", "broke the protocol"},
    {"pages-of-another-database", "pages of another database"},
    {"half-a-page", "larger than its pages"},
    {"unknown-codec", "unknown codec"},
    {"hashes-not-offered", "were not offered"},
    {"again-by-another-name", "another database than the next"},
    {"again-as-another", "another database than the next"},
    {"again-failed", "announced again that cannot be"},
    {"again-unchanged", "announced again that cannot be"},
    {"again-with-hashes", "other page hashes wanted than announced"},
    {"again-larger-than-the-disk", "the snapshot needs"},
    {"again-at-a-barrier", "a barrier that a database was not at"},
    {"again-and-again", "a message out of turn"},
    {"again-amid-its-pages", "a message out of turn"},
    {"again-without-a-set", "a message out of turn"},
    {"a-set-for-nothing", "a message out of turn"},
    {"notices-without-end", "too many notices"},
    {"unmatched-without-end", "a message out of turn"},
    {"unchanged-not-offered", "called unchanged that was not offered as such"},
    {"compared-without-a-base", "a comparison out of order"},
    {"payload-too-short", "not as long as its pages"},
    {"payload-too-long", "larger than its pages"},
    {"batch-over-the-cap", "more page bytes in one message than the cap"},
    {"zstd-bomb", "does not decompress to its pages"},
    {"zstd-bomb-that-says-so", "does not decompress to its pages"},
    {"zstd-bomb-of-1-kb", "does not decompress to its pages"},
    {"zstd-bomb-of-1-kb-unsaid", "does not decompress to its pages"},
    {"zstd-window-of-2-tib", "does not decompress to its pages"},
    {"zstd-bomb-that-lies", "does not decompress to its pages"},
    {"zstd-bomb-over-the-cap", "more page bytes in one message than the cap"},
    {"zstd-garbage", "does not decompress to its pages"},
    {"zstd-cut-short", "does not decompress to its pages"},
    {"zstd-of-fewer-bytes", "does not decompress to its pages"},
    {"zstd-of-nothing", "does not decompress to its pages"},
    {"wrong-digest", "does not fit its checksum"},
    {"end-of-another-size", "an end with another number of pages"},
    {"end-of-another-database", "the end of another database"},
    {"failure-of-another-database", "the failure of another database"},
    {"pages-after-the-end", "a message out of turn"},
    {"an-error-after-all-pages", "on second thoughts"},
    {"error-failed", "all is well"},
    {"error-busy", "all is well"},
    {"error-connection", "all is well"},
    {"error-cancelled", "all is well"},
    {"error-of-no-kind", "unknown error kind"},
    {"error-of-an-unknown-kind", "unknown error kind"},
};

// Scripts with tests of their own below.
// What `check` makes of those that answer a look around; the exit code, and words of its JSON document.
struct LookExpectation {
  std::string script;
  int exit_code;
  std::string words;
};
const std::vector<LookExpectation> kLooks{{"look-honest", 0, "a.sqlite3: 4.1 kB"},
                                          {"look-two-days-ahead", 0, "a run prunes nothing then"},
                                          {"look-without-end", 1, "too many databases"},
                                          {"look-that-ends", 1, "ended too early"},
                                          {"look-with-escapes", 1, "a\\\\x1B[2J"},
                                          {"look-of-petabytes", 1, "the next snapshot may need"},
                                          {"look-of-pages", 1, "a message out of turn"},
                                          {"look-without-storage", 1, "a message out of turn"},
                                          {"garbage", 1, "broke the protocol"},
                                          {"frame-of-4-gib", 1, "a frame larger than its cap"},
                                          {"hello-of-another-version", 1, "different versions"},
                                          {"silence", 1, "said nothing for too long"},
                                          {"nothing", 1, "does not answer as an agent"}};

const std::set<std::string> kOthers{"honest",
                                    "again",
                                    "a-notice",
                                    "unchanged",
                                    "unchanged-and-pages",
                                    "unchanged-of-another-checksum",
                                    "one-database-failed",
                                    "alive-for-ever",
                                    "drip-of-a-greeting",
                                    "drip-of-a-message",
                                    "drip-of-a-header"};

std::string hex(const std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::set<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

// Safe for a terminal: newlines, and nothing else that is not text.
bool is_printable(const std::string& text) {
  std::string without_newlines = text;
  std::erase(without_newlines, '\n');
  return is_clean_utf8(without_newlines);
}

// The largest of all programs that have ended so far.
long max_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return usage.ru_maxrss;
}

// 300 KB that compress to a third of that: several messages' worth of pages for zstd to work on.
void make_database(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)");
  database.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
      " INSERT INTO t SELECT i, randomblob(1000) || zeroblob(2000) FROM n");
}

class HostileAgent : public testing::Test {
 protected:
  HostileAgent() : app_(Over::kLocal) {
    make_database(database_ = app_.scratch("honest.sqlite3"));
    app_.set("IDLE_TIMEOUT", "2");
    app_.set_environment("LITEPULL_AGENT", built_program("hostile_agent"));
    app_.set_environment("HOSTILE_DATABASE", database_);
    announce({"a.sqlite3"});
  }

  void announce(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ",") + hex(name);
    app_.set_environment("HOSTILE_NAMES", all);
  }

  BackupRun play(const std::string& script) {
    app_.set_environment("HOSTILE_SCRIPT", script);
    return app_.backup({}, kTimeout);
  }

  // All that is around the app's directory, the workspace included.
  std::string surroundings() const {
    std::string kept;
    for (const std::string& line : lines_of(listing(fs::path(app_.config_path()).parent_path())))
      if (!line.starts_with("workspace")) kept += line + "\n";
    for (const auto& entry : fs::directory_iterator(app_.workspace()))
      kept += "in the workspace: " + entry.path().filename().string() + "\n";
    return kept;
  }

  void expect_nothing_done(const BackupRun& run, const std::string& words) {
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_NE(run.process.err.find(words), std::string::npos) << "for want of: " << words << "\n"
                                                              << run.words();
    EXPECT_TRUE(is_printable(run.process.err)) << run.words();
    EXPECT_TRUE(is_printable(run.process.out)) << run.words();
    EXPECT_TRUE(run.json.is_object()) << run.words();
    EXPECT_TRUE(app_.snapshots().empty()) << run.words();
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"}) << run.words();
    EXPECT_LT(max_memory_kib(), kMaxMemoryKib);
  }

  PullFixture app_;
  std::string database_;
};

TEST_F(HostileAgent, WhatAnHonestOneSendsIsPublished) {
  announce({"a.sqlite3", "tenants/b.sqlite3"});
  const BackupRun run = play("honest");
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(file_bytes(run.file("a.sqlite3")), file_bytes(database_));
  EXPECT_EQ(file_bytes(run.file("tenants/b.sqlite3")), file_bytes(database_));
}

TEST_F(HostileAgent, EveryScriptHasATest) {
  std::set<std::string> tested = kOthers;
  for (const Expectation& refused : kRefused) tested.insert(refused.script);
  for (const LookExpectation& look : kLooks) tested.insert(look.script);
  EXPECT_EQ(lines_of(run({built_program("hostile_agent"), "--list"}).out), tested);
}

TEST_F(HostileAgent, EveryBrokenStreamEndsTheRunWithNothingPublished) {
  play("nothing");  // makes the workspace and the lock file
  const std::string before = surroundings();
  for (const Expectation& refused : kRefused) {
    SCOPED_TRACE(refused.script);
    const BackupRun run = play(refused.script);
    expect_nothing_done(run, refused.words);
    EXPECT_LT(run.process.duration, Milliseconds(10'000));
    EXPECT_EQ(surroundings(), before);
  }
}

TEST_F(HostileAgent, ACheckIsToldInPlainWordsAndNothingIsWritten) {
  const std::string before = listing(fs::path(app_.config_path()).parent_path());
  for (const LookExpectation& look : kLooks) {
    SCOPED_TRACE(look.script);
    app_.set_environment("HOSTILE_SCRIPT", look.script);
    for (const bool json : {true, false}) {
      const ProcessResult said =
          json ? app_.litepull({"check", "--json"}, kTimeout) : app_.litepull({"check"}, kTimeout);
      EXPECT_EQ(said.status.code, look.exit_code) << said.out << said.err;
      EXPECT_TRUE(is_printable(said.out)) << said.out;
      EXPECT_TRUE(is_printable(said.err)) << said.err;
      if (!json) continue;
      EXPECT_NE(said.out.find(look.words), std::string::npos) << said.out;
    }
  }
  EXPECT_EQ(listing(fs::path(app_.config_path()).parent_path()), before);
  EXPECT_LT(max_memory_kib(), kMaxMemoryKib);
}

TEST_F(HostileAgent, SignsOfLifeAreNotProgress) {
  app_.set("IDLE_TIMEOUT", "1");
  for (const char* script :
       {"alive-for-ever", "drip-of-a-message", "drip-of-a-header", "drip-of-a-greeting"}) {
    SCOPED_TRACE(script);
    const BackupRun run = play(script);
    expect_nothing_done(run, "has made no progress for too long");
    EXPECT_LT(run.process.duration, Milliseconds(20'000));
    if (rounds(0, 1) == 0 && std::string(script) == "drip-of-a-message") return;
  }
}

TEST_F(HostileAgent, UnchangedIsBelievedOfWhatIsAtHandAlone) {
  ASSERT_EQ(play("honest").exit_code(), 0);
  const BackupRun right = play("unchanged");
  ASSERT_EQ(right.exit_code(), 0) << right.words();
  EXPECT_EQ(file_bytes(right.file("a.sqlite3")), file_bytes(database_));
  const std::vector<std::string> before = app_.snapshots();
  for (const auto& [script, words] :
       {std::pair("unchanged-and-pages", "pages of a database called unchanged"),
        std::pair("unchanged-of-another-checksum", "another checksum of a database called unchanged")}) {
    const BackupRun run = play(script);
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_NE(run.process.err.find(words), std::string::npos) << run.words();
  }
  EXPECT_EQ(app_.snapshots(), before);
}

TEST_F(HostileAgent, NamesThatLeadElsewhereAreRefused) {
  play("nothing");
  const std::string before = surroundings();
  std::string deep = "x.sqlite3";
  for (int i = 0; i < 16; ++i) deep = "d/" + deep;
  for (const std::string& name : {std::string("../x.sqlite3"),
                                  std::string("../../x.sqlite3"),
                                  std::string("../../../x.sqlite3"),
                                  std::string("a/../../x.sqlite3"),
                                  std::string("a/.."),
                                  std::string("./x.sqlite3"),
                                  std::string("."),
                                  std::string(".."),
                                  std::string("/x.sqlite3"),
                                  app_.scratch("x.sqlite3"),
                                  std::string("a//x.sqlite3"),
                                  std::string("a/"),
                                  std::string(),
                                  std::string("x\0.sqlite3", 10),
                                  std::string("x.sqlite3\0", 10),
                                  std::string("x\n.sqlite3"),
                                  std::string("\x1b[31mx.sqlite3"),
                                  std::string("x\x7f.sqlite3"),
                                  std::string("x\xc2\x85.sqlite3"),
                                  std::string("\xff\xfe.sqlite3"),
                                  std::string("\xed\xa0\x80.sqlite3"),
                                  std::string("manifest.json"),
                                  std::string("MANIFEST.json"),
                                  std::string(".manifest.json.new"),
                                  std::string("x.sqlite3-wal"),
                                  std::string("x.sqlite3-WAL"),
                                  std::string("x.sqlite3-shm"),
                                  std::string("x.sqlite3-journal"),
                                  deep}) {
    SCOPED_TRACE(printable(name));
    announce({name});
    expect_nothing_done(play("honest"), "a database name that is not allowed");
    EXPECT_EQ(surroundings(), before);
  }
}

TEST_F(HostileAgent, ADirectoryNamedAsTheManifestFailsWithNothingPublished) {
  announce({"manifest.json/x.sqlite3"});
  expect_nothing_done(play("honest"), "manifest.json");
}

TEST_F(HostileAgent, NamesThatNoFileCanHaveFailWithNothingPublished) {
  for (const std::size_t size : {std::size_t{256}, kMaxNameBytes, kMaxNameBytes + 1}) {
    announce({std::string(size, 'x')});
    expect_nothing_done(play("honest"), "");
  }
}

TEST_F(HostileAgent, OneNameForTwoDatabasesIsRefused) {
  for (const std::string other : {"a.sqlite3", "A.SQLITE3", "a.Sqlite3"}) {
    announce({"a.sqlite3", other});
    expect_nothing_done(play("honest"), "the same database name twice: " + other);
    announce({"tenants/a.sqlite3", "Tenants/" + other});
    expect_nothing_done(play("honest"), "the same database name twice: Tenants/" + other);
  }
}

TEST_F(HostileAgent, AFileAndADirectoryOfOneNameFailWithNothingPublished) {
  announce({"a.sqlite3", "a.sqlite3/b.sqlite3"});
  expect_nothing_done(play("honest"), "a.sqlite3");
  announce({"a.sqlite3/b.sqlite3", "a.sqlite3"});
  expect_nothing_done(play("honest"), "a.sqlite3");
}

TEST_F(HostileAgent, EscapesInItsWordsReachNoTerminal) {
  const BackupRun run = play("one-database-failed");
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  EXPECT_EQ(file_bytes(run.file("a.sqlite3")), file_bytes(database_));
  EXPECT_TRUE(is_printable(run.process.err)) << run.words();
  EXPECT_TRUE(is_printable(run.process.out)) << run.words();
  EXPECT_NE(run.process.err.find("\\x1B]0;owned\\x07"), std::string::npos) << run.words();
  const ProcessResult list = app_.litepull({"list"});
  EXPECT_TRUE(is_printable(list.out)) << list.out;
  EXPECT_TRUE(is_printable(read_file(run.file("manifest.json"))));
}

TEST_F(HostileAgent, WhatItSaysOfTheSetAndOfDirectoriesIsToldSafely) {
  const BackupRun again = play("again");
  EXPECT_EQ(again.exit_code(), 0) << again.words();
  EXPECT_EQ(file_bytes(again.file("a.sqlite3")), file_bytes(database_));
  EXPECT_EQ(again.json["set_consistency"], "pinned");
  EXPECT_NE(again.process.err.find("not of one moment"), std::string::npos) << again.words();
  const BackupRun notice = play("a-notice");
  EXPECT_EQ(notice.exit_code(), 0) << notice.words();
  for (const BackupRun* run : {&again, &notice}) {
    EXPECT_TRUE(is_printable(run->process.err)) << run->words();
    EXPECT_TRUE(is_printable(run->process.out)) << run->words();
    EXPECT_NE(run->process.err.find("\\x1B]0;owned\\x07"), std::string::npos) << run->words();
  }
}

// Only its own file may be judged by what is in it: a database is data, whatever its schema says.
TEST_F(HostileAgent, ASchemaThatWouldRunCodeIsOnlyLookedAt) {
  const std::string canary = app_.scratch("canary");
  {
    SQLite::Database database(database_, SQLite::OPEN_READWRITE);
    database.exec("CREATE VIEW v AS SELECT load_extension('" + canary + "') AS x, writefile('" + canary +
                  "', 'x') AS y");
    database.exec("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('" + canary + "'); END");
  }
  const BackupRun run = play("honest");
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_FALSE(fs::exists(canary));
}

}  // namespace
}  // namespace litepull::test
