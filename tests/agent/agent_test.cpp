// The agent's parts against real SQLite databases, without a client.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <thread>

#include "agent/copy.h"
#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/pin.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

using test::TempDir;

// Everything runs with a storage directory of its own as the working directory, as in the agent.
class AgentTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { sqlite3_initialize(); }  // the agent's SQLite does not do it by itself
  AgentTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
  }
  ~AgentTest() override { EXPECT_EQ(::chdir("/"), 0); }

  Connection app(const std::string& name, const std::string& sql) {
    Connection connection =
        open_connection(storage_ / name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(connection.get(), sql.c_str());
    return connection;
  }

  std::unique_ptr<SourceDatabase> open(const std::string& name) {
    Request request;
    request.databases = {name};
    return std::make_unique<SourceDatabase>(guard_, discover(request).at(0));
  }

  TempDir storage_;
  GuardVfs guard_;
};

// Puts the pages of one database together again. It may be as slow as a network.
class Collector : public ByteSink {
 public:
  void write(ByteView head, ByteView body) override {
    if (delay_us != 0) ::usleep(delay_us);
    Bytes all(head.begin() + kFrameHeaderBytes, head.end());
    all.insert(all.end(), body.begin(), body.end());
    if (static_cast<MessageType>(head[4]) != MessageType::kPages) return;
    ByteView payload;
    const PagesHead pages = decode_pages(all, payload);
    Bytes raw(payload.begin(), payload.end());
    if (pages.codec == Codec::kZstd) {
      raw.resize(pages.raw_bytes);
      ASSERT_EQ(ZSTD_decompress(raw.data(), raw.size(), payload.data(), payload.size()), raw.size());
    }
    file.append(raw.begin(), raw.end());
  }
  std::string file;
  useconds_t delay_us = 0;
};

const DigestKey kKey = test::key_of(1);

Digest digest_of(const std::string& bytes) {
  StreamingDigest digest(kKey);
  digest.add({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  return digest.result();
}

struct Copied {
  std::string file;
  DatabaseEnd end;
};

Copied copy(const std::unique_ptr<SourceDatabase>& database, useconds_t delay_us = 0,
            std::uint64_t memory_bytes = 8 << 20, const HoldPolicy& policy = {60'000'000, 1ULL << 30}) {
  Collector collector;
  collector.delay_us = delay_us;
  FrameWriter writer(collector);
  Copied copied;
  {
    HashFeed hashes;
    hashes.expect({0});
    Outbox outbox(writer, hashes, kKey, memory_bytes, 1);
    copied.end = copy_database(*database, 0, {&database, 1}, policy, kKey, outbox);
    outbox.flush();
  }
  copied.file = std::move(collector.file);
  return copied;
}

constexpr const char* kSomeRows =
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t (b);"
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t (b) "
    "SELECT hex(randomblob(40)) FROM n;"
    "DELETE FROM t WHERE a % 3 = 0;";

TEST_F(AgentTest, TheCopyIsTheCheckpointedFileByteForByteForEveryPageSizeAndVacuumMode) {
  for (const int page_size : {512, 1024, 4096, 65536}) {
    for (const int vacuum : {0, 1, 2}) {
      const std::string name = std::to_string(page_size) + "-" + std::to_string(vacuum) + ".sqlite3";
      const Connection writer =
          app(name, "PRAGMA page_size=" + std::to_string(page_size) +
                        "; PRAGMA auto_vacuum=" + std::to_string(vacuum) +
                        "; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;" + kSomeRows);
      const auto database = open(name);
      database->pin();
      const Copied copied = copy(database);
      execute(writer.get(), "PRAGMA wal_checkpoint(FULL)");
      EXPECT_EQ(copied.file, test::file_bytes(storage_ / name)) << name;
      EXPECT_EQ(copied.end.digest, digest_of(copied.file)) << name;
    }
  }
}

TEST_F(AgentTest, APinnedCopyHoldsNothingThatWasCommittedLater) {
  const Connection writer = app(
      "a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows + "PRAGMA wal_checkpoint(TRUNCATE)");
  const std::string before = test::file_bytes(storage_ / "a.sqlite3");
  const auto database = open("a.sqlite3");
  database->pin();
  execute(writer.get(),
          "INSERT INTO t (b) VALUES ('later'); DELETE FROM t WHERE a < 500; PRAGMA wal_checkpoint(PASSIVE)");
  EXPECT_EQ(copy(database).file, before);
}

TEST_F(AgentTest, ADatabaseThatRestsHoldsNothingAndIsPinnedAgainAsItIsThen) {
  const auto open_files = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  for (const std::string mode : {"wal", "delete"}) {
    const std::string name = mode + ".sqlite3";
    app(name, "PRAGMA journal_mode=" + mode + ";" + kSomeRows);
    const auto before = open_files();
    const auto database = open(name);
    const std::uint32_t pages = database->page_count();
    database->rest();
    EXPECT_TRUE(database->is_resting());
    EXPECT_EQ(open_files(), before) << mode;
    EXPECT_EQ(database->page_count(), pages);
    app(name, "INSERT INTO t (b) SELECT hex(randomblob(400)) FROM t LIMIT 500");
    database->pin();
    EXPECT_GT(database->page_count(), pages);
    const Copied copied = copy(database);
    EXPECT_EQ(copied.end.digest, digest_of(copied.file)) << mode;
    EXPECT_EQ(copied.file.size(), std::size_t{database->page_size()} * database->page_count());
  }
}

#ifndef __SANITIZE_ADDRESS__  // whose checks open files of their own
TEST_F(AgentTest, WhereNoMoreFilesMayBeOpenedThatIsWhatIsSaid) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  for (const std::string mode : {"wal", "delete"}) {
    const Connection app_itself = app(mode + ".sqlite3", "PRAGMA journal_mode=" + mode + ";" + kSomeRows);
    int failed = 0;
    for (int more = 1; more < 8; ++more) {
      const rlimit few{static_cast<rlim_t>(next + more), before.rlim_max};
      ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
      std::string said;
      try {
        open(mode + ".sqlite3")->pin();
      } catch (const Error& error) {
        said = error.message() + error.hint();
        ++failed;
      }
      ::setrlimit(RLIMIT_NOFILE, &before);
      if (said.empty()) continue;
      EXPECT_NE(said.find("Too many open files"), std::string::npos) << mode << more << said;
      EXPECT_NE(said.find("ulimit -n"), std::string::npos) << mode << more << said;
    }
    EXPECT_GT(failed, 0);
  }
}
#endif

TEST_F(AgentTest, NothingCanBeWrittenThroughTheGuard) {
  app("a.sqlite3", kSomeRows);
  const std::string before = test::file_bytes(storage_ / "a.sqlite3");
  for (const char* sql :
       {"UPDATE t SET b = 1", "PRAGMA journal_mode=WAL", "VACUUM", "DROP TABLE t", "PRAGMA user_version=7"}) {
    const Connection guarded = open_connection("./a.sqlite3", SQLITE_OPEN_READWRITE, GuardVfs::kName);
    try {
      execute(guarded.get(), sql);
    } catch (const SqliteError&) {
    }
    EXPECT_EQ(test::file_bytes(storage_ / "a.sqlite3"), before) << sql;
    EXPECT_NE(::access("a.sqlite3-journal", F_OK), 0) << sql;
  }
}

TEST_F(AgentTest, AWalIsNeverCheckpointedOrRemovedThroughTheGuard) {
  const Connection writer =
      app("a.sqlite3", std::string("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;") + kSomeRows);
  const std::string before = test::file_bytes(storage_ / "a.sqlite3");
  const std::string wal_before = test::file_bytes(storage_ / "a.sqlite3-wal");
  {
    const auto database = open("a.sqlite3");
    database->pin();
    EXPECT_GT(copy(database).file.size(), before.size());
  }
  EXPECT_EQ(test::file_bytes(storage_ / "a.sqlite3"), before);
  EXPECT_EQ(test::file_bytes(storage_ / "a.sqlite3-wal"), wal_before);
}

TEST_F(AgentTest, SidecarsThatOnlyTheAgentNeededAreGoneAfterwards) {
  app("a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows);
  const std::string before = test::listing(storage_.path());
  {
    const auto database = open("a.sqlite3");
    database->pin();
    EXPECT_EQ(::access("a.sqlite3-shm", F_OK), 0);
    (void)copy(database);
  }
  EXPECT_EQ(test::listing(storage_.path()), before);
}

std::vector<std::unique_ptr<SourceDatabase>> two(std::unique_ptr<SourceDatabase> a,
                                                 std::unique_ptr<SourceDatabase> b) {
  std::vector<std::unique_ptr<SourceDatabase>> both;
  both.push_back(std::move(a));
  both.push_back(std::move(b));
  return both;
}

TEST_F(AgentTest, TwoIdleDatabasesArePinnedAtABarrier) {
  const Connection a = app("a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows);
  const Connection b = app("b.sqlite3", kSomeRows);
  auto databases = two(open("a.sqlite3"), open("b.sqlite3"));
  const PinResult result = pin_set(databases, 1000);
  EXPECT_EQ(result.set.consistency, Consistency::kBarrier);
  EXPECT_TRUE(result.unpinned.empty());
  // The write locks are free again.
  execute(a.get(), "INSERT INTO t (b) VALUES (1)");
  execute(b.get(), "BEGIN IMMEDIATE; ROLLBACK");
}

TEST_F(AgentTest, AWriterThatKeepsItsLockCostsTheBarrierAndNotTheRun) {
  const Connection a = app("a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows);
  const Connection b =
      app("b.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows + "BEGIN IMMEDIATE");
  auto databases = two(open("a.sqlite3"), open("b.sqlite3"));
  const PinResult result = pin_set(databases, 200);
  EXPECT_EQ(result.set.consistency, Consistency::kPinned);
  EXPECT_GT(result.set.skew_us, 0U);
  EXPECT_LT(result.set.lock_hold_us, kMaxLockHoldUs + 100'000);
  EXPECT_EQ(databases.size(), 2U);
}

TEST_F(AgentTest, ARollbackDatabaseIsReleasedBeforeASlowReaderHasItsPages) {
  const Connection writer =
      app("a.sqlite3", std::string(kSomeRows) + "INSERT INTO t (b) SELECT randomblob(3000) FROM t");
  const std::string before = test::file_bytes(storage_ / "a.sqlite3");
  const auto database = open("a.sqlite3");
  database->pin();
  const Copied copied = copy(database, 50'000, 512 * 1024);  // twenty frames a second, room for two
  EXPECT_EQ(copied.file, before);
  EXPECT_GT(copied.end.spooled_bytes, copied.file.size() / 2);
  EXPECT_LT(copied.end.hold_us, 50'000 * (copied.file.size() / (256 * 1024)) / 2);
}

// A sanitizer keeps freed memory, and has memory of its own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
std::uint64_t resident_bytes() {
  std::uint64_t total = 0, resident = 0;
  std::sscanf(test::read_file("/proc/self/statm").c_str(), "%lu %lu", &total, &resident);
  return resident * 4096;
}

TEST_F(AgentTest, WhatIsSpooledIsOnDiskAndNotInMemory) {
  constexpr std::uint32_t kBlocks = 64, kPages = kMaxBatchBytes / 4096;
  Collector collector;
  collector.delay_us = 10'000;
  FrameWriter writer(collector);
  HashFeed hashes;
  hashes.expect({0});
  Outbox outbox(writer, hashes, kKey, 1 << 20, 0);
  ASSERT_TRUE(outbox.reserve_spool(std::uint64_t{kBlocks} * kMaxBatchBytes));
  const std::uint64_t before = resident_bytes();
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    PageBlock block{0, 1 + i * kPages, 4096, kMaxBatchBytes, Bytes(kMaxBatchBytes, 7)};
    outbox.push_spooled(std::move(block));
  }
  EXPECT_LT(resident_bytes(), before + (16 << 20));
  outbox.flush();
  EXPECT_EQ(collector.file.size(), std::size_t{kBlocks} * kMaxBatchBytes);
}
#endif

TEST_F(AgentTest, AWalDatabaseWaitsForTheNetworkOnlyUpToItsBounds) {
  const Connection writer = app("a.sqlite3", std::string("PRAGMA journal_mode=WAL;") + kSomeRows +
                                                 "INSERT INTO t (b) SELECT randomblob(3000) FROM t");
  const auto waiting = open("a.sqlite3");
  waiting->pin();
  EXPECT_EQ(copy(waiting, 10'000, 512 * 1024).end.spooled_bytes, 0U);
  const auto bounded = open("a.sqlite3");
  bounded->pin();
  EXPECT_GT(copy(bounded, 10'000, 512 * 1024, {20'000, 1ULL << 30}).end.spooled_bytes, 0U);
}

// A database of zeros that is larger than the free room on any disk here. As the network is slow, little of
// it is read.
class WithoutRoomToSpool : public AgentTest {
 protected:
  WithoutRoomToSpool() {
    app("a.sqlite3", "PRAGMA page_size=65536; PRAGMA journal_mode=WAL; CREATE TABLE t (b)");
    constexpr std::uint32_t kPages = 1U << 26;  // 4 TB
    const std::uint8_t count[] = {kPages >> 24, 0, 0, 0};
    const Fd file = open_path("a.sqlite3", O_RDWR);
    pwrite_all(file.get(), count, sizeof count, 28, "a.sqlite3");  // the header's count of pages
    grown_ = ::ftruncate(file.get(), std::int64_t{kPages} * 65536) == 0;
  }

  // The kind of the error that ended the copy. The network breaks after some seconds.
  ErrorKind end_of_copy(const HoldPolicy& policy) {
    const auto database = open("a.sqlite3");
    database->pin();
    FrameWriter writer(network_);
    HashFeed hashes;
    hashes.expect({0});
    Outbox outbox(writer, hashes, kKey, 512 * 1024, 1);
    try {
      copy_database(*database, 0, {&database, 1}, policy, kKey, outbox);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kFailed;
  }

  struct Network : ByteSink {
    void write(ByteView, ByteView) override {
      ::usleep(20'000);
      if (++frames == 40) throw Error(ErrorKind::kConnection, "cut");
    }
    int frames = 0;
  };
  Network network_;
  bool grown_ = false;
};

TEST_F(WithoutRoomToSpool, AWalDatabaseWaitsPastItsTimeSinceNobodyIsKeptWaiting) {
  if (!grown_) GTEST_SKIP() << "no file may be so large here";
  EXPECT_EQ(end_of_copy({20'000, 1ULL << 30}), ErrorKind::kConnection);
  EXPECT_GE(network_.frames, 40);
}

TEST_F(WithoutRoomToSpool, AWalDatabaseIsRefusedWhenItsLogHasGrown) {
  if (!grown_) GTEST_SKIP() << "no file may be so large here";
  EXPECT_EQ(end_of_copy({60'000'000, 0}), ErrorKind::kRefused);
  EXPECT_LT(network_.frames, 40);
}

TEST_F(AgentTest, ADatabaseCutShortIsRefused) {
  app("a.sqlite3", kSomeRows);
  ASSERT_EQ(::truncate("a.sqlite3", 20 * 4096), 0);
  EXPECT_THROW(open("a.sqlite3"), Error);
}

TEST_F(AgentTest, ASchemaThatThisSqliteCannotReadIsCopiedAllTheSame) {
  app("a.sqlite3", std::string(kSomeRows) +
                       "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE of the "
                       "future' WHERE name = 't'");
  const auto database = open("a.sqlite3");
  database->pin();
  EXPECT_EQ(copy(database).file, test::file_bytes(storage_ / "a.sqlite3"));
}

// SQLite skips the page at 1 GiB, because its locks lie on the bytes there
// (https://sqlite.org/fileformat2.html#the_lock_byte_page).
TEST_F(AgentTest, ADatabasePastTheLockBytePageIsWholeAndAtItsPlace) {
  app("a.sqlite3",
      "PRAGMA page_size=65536; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE t (b);"
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 17) INSERT INTO t SELECT "
      "zeroblob(64 << 20) FROM n;"
      "CREATE TABLE last (a); INSERT INTO last VALUES ('after the lock-byte page')");
  const auto database = open("a.sqlite3");
  database->pin();
  const Copied copied = copy(database);
  ASSERT_GT(copied.file.size(), std::size_t{1} << 30);
  EXPECT_TRUE(copied.file == test::file_bytes(storage_ / "a.sqlite3"));
}

TEST_F(AgentTest, WhatCannotBeADatabaseIsNamedWithItsReason) {
  app("good.sqlite3", kSomeRows);
  test::write_file(storage_ / "empty.sqlite3", "");
  ASSERT_EQ(::mkfifo("fifo.sqlite3", 0600), 0);
  ASSERT_EQ(::symlink("/etc/passwd", "link.sqlite3"), 0);
  ASSERT_EQ(::symlink("good.sqlite3", "inside.sqlite3"), 0);
  app("first.sqlite3", kSomeRows);
  ASSERT_EQ(::link("first.sqlite3", "second.sqlite3"), 0);
  test::write_file(storage_ / "control\x1B.sqlite3", "x");
  test::write_file(storage_ / "good.sqlite3-wal", "");
  Request request;
  request.databases = {"*"};
  int good = 0;
  for (const Candidate& candidate : discover(request)) {
    EXPECT_EQ(candidate.problem.has_value(), candidate.name != "good.sqlite3") << candidate.name;
    good += candidate.problem ? 0 : 1;
  }
  EXPECT_EQ(good, 1);
}

}  // namespace
}  // namespace litepull
