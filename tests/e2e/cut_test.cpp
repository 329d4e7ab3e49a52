// Links that are cut at any byte, or that accept and send nothing. A pull never succeeds without the end of
// the stream, and an agent whose client is gone frees its locks.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>

#include "common/posix.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr Milliseconds kServerIsClean{60'000};

// A small transfer of bytes that do not compress. Every cut ends the run with nothing published, unless all
// had been said.
class Cut : public testing::Test {
 protected:
  explicit Cut(Over over = Over::kSsh) : app_(over) {
    SQLite::Database database(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "CREATE TABLE t(body BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        "50)"
        " INSERT INTO t SELECT randomblob(4000) FROM n");
    app_.set("COMPRESSION_LEVEL", "1");
    app_.set("CONNECT_TIMEOUT", "2");
    app_.set("IDLE_TIMEOUT", "1");
  }

  void remember() { before_ = fingerprint(app_.snapshots().at(0)); }

  // True when it was published after all, as the end message had come already.
  bool pull(const std::string& shown) {
    const BackupRun run = app_.backup({"--full", "--verify=none"});
    const std::vector<std::string> paths = app_.snapshots();
    EXPECT_EQ(fingerprint(paths.at(0)), before_) << shown;
    if (run.exit_code() != 0) {
      EXPECT_TRUE(run.exit_code() == 1 || run.exit_code() == 3) << shown << "\n" << run.words();
      EXPECT_EQ(paths.size(), 1U) << shown << "\n" << run.words();
      return false;
    }
    EXPECT_EQ(paths.size(), 2U);
    EXPECT_EQ(why_not_whole(paths.back()), "") << shown;
    EXPECT_EQ(file_bytes(run.file("main.sqlite3")), file_bytes(path_)) << shown;
    fs::remove_all(paths.back());
    return true;
  }

  PullFixture app_;
  const std::string path_ = app_.in_storage("main.sqlite3");
  std::string before_;
  std::mt19937_64 random_{std::random_device{}()};
};

constexpr std::uint64_t kEdge = 64 * 1024;

// Places of a transfer of so many bytes: those of its first and last 64 KiB that are `stride` apart, and some
// at random.
std::vector<std::uint64_t> places(std::uint64_t bytes, std::uint64_t stride, int at_random,
                                  std::mt19937_64& random) {
  std::vector<std::uint64_t> places;
  for (std::uint64_t at = random() % stride; at < kEdge; at += stride) places.push_back(at);
  for (std::uint64_t at = bytes - kEdge + random() % stride; at < bytes; at += stride) places.push_back(at);
  for (int i = 0; i < at_random; ++i) places.push_back(random() % bytes);
  return places;
}

TEST_F(Cut, OfTheLinkIsNeverASuccessWithoutTheEnd) {
  // What is said after the end of the transfer: the channel is closed, the session ends.
  constexpr std::uint64_t kFarewell = 1'000;
  TcpProxy proxy(app_.sshd().port());
  app_.reach_through(proxy.port());
  ASSERT_EQ(app_.backup().exit_code(), 0);  // uploads the agent
  remember();
  const std::uint64_t start = proxy.bytes_up() + proxy.bytes_down();
  ASSERT_TRUE(pull("uncut"));
  const std::uint64_t bytes = proxy.bytes_up() + proxy.bytes_down() - start;
  ASSERT_GT(bytes, 2 * kEdge);
  int published = 0, cuts = 0;
  for (const std::uint64_t at :
       places(bytes, static_cast<std::uint64_t>(rounds(32'000, 64)), rounds(4, 2'000), random_)) {
    // Silence lasts as long as the client waits for a word.
    const CutMode mode = ++cuts % 8 == 0 ? CutMode::kSilence
                         : cuts % 2 == 0 ? CutMode::kFin
                                         : CutMode::kReset;
    const std::string shown = "cut after " + std::to_string(at) + " of " + std::to_string(bytes) + " bytes";
    proxy.cut_after(at + 1, mode);
    const bool was_published = pull(shown);
    published += was_published ? 1 : 0;
    EXPECT_TRUE(!was_published || at + kFarewell > bytes) << shown;
    if (HasFailure()) return;
  }
  proxy.cut_after(1ULL << 40, CutMode::kFin);
  EXPECT_TRUE(eventually([&] { return app_.sshd().remote_pids().empty(); }, kServerIsClean));
  EXPECT_TRUE(pull("uncut"));
  std::printf("  %d cuts of a transfer of %llu bytes, %d of them after the end message\n", cuts,
              static_cast<unsigned long long>(bytes), published);
}

class CutStream : public Cut {
 protected:
  CutStream() : Cut(Over::kLocal) {
    write_file(app_.scratch("agent"),
               "#!/bin/sh\n'" + built_program("litepull-agent") +
                   "' | { stdbuf -o0 head -c \"$CUT_AFTER\"; cat >'" + rest_ + "'; }\n",
               0700);
    app_.set_environment("LITEPULL_AGENT", app_.scratch("agent"));
    cut_after(1 << 30);
  }

  void cut_after(std::uint64_t bytes) { app_.set_environment("CUT_AFTER", std::to_string(bytes)); }

  const std::string rest_ = app_.scratch("rest");  // what the client was not given
};

// The agent's own stream, below SSH, so that every byte of it can be the last.
TEST_F(CutStream, AtAnyByteIsNeverASuccessWithoutTheEnd) {
  const BackupRun first = app_.backup();
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  remember();
  const auto bytes = first.json["wire"]["received_bytes"].get<std::uint64_t>();
  ASSERT_GT(bytes, 2 * kEdge);
  std::vector<std::uint64_t> all =
      places(bytes, static_cast<std::uint64_t>(rounds(16'000, 1)), rounds(4, 2'000), random_);
  for (std::uint64_t left = 0; left < 4; ++left) all.push_back(bytes - left);
  int cuts = 0, published = 0;
  for (const std::uint64_t at : all) {
    cut_after(at);
    const bool was_published =
        pull("cut after " + std::to_string(at) + " of " + std::to_string(bytes) + " bytes");
    ++(was_published ? published : cuts);
    EXPECT_EQ(was_published, fs::file_size(rest_) == 0) << at << " of " << bytes;
    if (HasFailure()) return;
  }
  std::printf("  %d cuts of a stream of %llu bytes; %d were of nothing\n", cuts,
              static_cast<unsigned long long>(bytes), published);
}

// --- the agent by itself, at a link that takes nothing and says nothing ----------------------------------

class DeadLink : public testing::Test {
 protected:
  DeadLink() : app_(Over::kLocal) {
    for (const std::string& name : {in_, out_}) EXPECT_EQ(::mkfifo(name.c_str(), 0600), 0);
    SQLite::Database database(path_, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("PRAGMA journal_mode=WAL");
    database.exec("CREATE TABLE t(body BLOB)");
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " INSERT INTO t SELECT randomblob(4000) FROM n");
  }

  Request request() const {
    Request request;
    request.directory = app_.storage();
    request.databases = {"*.sqlite3"};
    request.silence_ms = 1'000;
    request.memory_bytes = 256 * 1024;
    return request;
  }

  PullFixture app_;
  const std::string in_ = app_.scratch("to_agent"), out_ = app_.scratch("from_agent");
  const std::string path_ = app_.in_storage("main.sqlite3");
};

TEST_F(DeadLink, EndsTheAgentAndFreesItsLocksInSeconds) {
  // Both ends of both FIFOs are open here: the agent sees no end of input, and a pipe that fills up.
  const Fd to_agent = open_path(in_, O_RDWR), from_agent = open_path(out_, O_RDWR);
  SQLite::Database writer(path_, SQLite::OPEN_READWRITE);
  Child agent({"sh", "-c", "exec \"$0\" < \"$1\" > \"$2\"", built_program("litepull-agent"), in_, out_});
  FdSink sink(to_agent.get(), "the agent's input");
  FrameWriter(sink).write(MessageType::kRequest, encode(request()));
  const Clock::time_point start = Clock::now();

  // A checkpoint that cannot empty the log says that a reader holds it: the agent is in the middle of its
  // copy.
  const auto is_pinned = [&] {
    writer.exec("INSERT INTO t VALUES (1)");
    return writer.execAndGet("PRAGMA wal_checkpoint(TRUNCATE)").getInt() != 0;
  };
  EXPECT_TRUE(eventually(is_pinned, Milliseconds(3'000))) << "the agent never held a lock";
  EXPECT_TRUE(agent.wait(Milliseconds(10'000))) << "the agent waits for a client that is gone";
  EXPECT_GE(Clock::now() - start, Milliseconds(1'000));
  EXPECT_FALSE(is_pinned());
}

}  // namespace
}  // namespace litepull::test
