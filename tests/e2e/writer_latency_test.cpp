// The app's writers do not notice the network during a pull. The figures are printed, since they say more
// than the bounds, which must hold on any machine.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace {

constexpr std::uint64_t kOneMbitBytesPerS = 125'000;
constexpr int kCommitsPerS = 200;
constexpr std::int64_t kMib = 1 << 20;

struct Latency {
  std::uint64_t count = 0;
  double p50_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;
};

Latency read_latency(const std::string& path) {
  std::istringstream in(read_file(path));
  std::map<std::string, double> values;
  std::string name;
  for (double value = 0; in >> name >> value;) values[name] = value;
  return {static_cast<std::uint64_t>(values["count"]), values["p50"] / 1e3, values["p99"] / 1e3,
          values["p99.9"] / 1e3, values["max"] / 1e3};
}

void print(const std::string& what, const Latency& latency, const std::string& more = "") {
  std::printf("  %-28s %6llu commits  p50 %7.2f  p99 %7.2f  p99.9 %7.2f  max %8.2f ms  %s\n", what.c_str(),
              static_cast<unsigned long long>(latency.count), latency.p50_ms, latency.p99_ms, latency.p999_ms,
              latency.max_ms, more.c_str());
}

// What compresses to nothing comes after what does not compress: while the link is busy with the first, the
// second fills whatever memory there is for it.
void add_ballast(const std::string& path, std::int64_t random_bytes, std::int64_t zero_bytes) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE ballast(id INTEGER PRIMARY KEY, body BLOB)");
  const std::string rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ";
  database.exec(rows + std::to_string(random_bytes / 4000) +
                ") INSERT INTO ballast(body) SELECT randomblob(3900) FROM n");
  database.exec(rows + std::to_string(zero_bytes / 40000) +
                ") INSERT INTO ballast(body) SELECT zeroblob(40000) FROM n");
}

struct Pulled {
  Latency latency;
  BackupRun run;
  double hold_s = 0;
  double duration_s = 0;
  std::int64_t spooled_bytes = 0;
};

class WriterLatency : public testing::TestWithParam<const char*> {
 protected:
  WriterLatency() : app_(Over::kSsh), proxy_(app_.sshd().port()), seconds_(rounds(9, 60)) {
    app_.reach_through(proxy_.port());
    app_.set("IDLE_TIMEOUT", "30");
    add_ballast(app_.in_storage("main.sqlite3"), seconds_ * static_cast<std::int64_t>(kOneMbitBytesPerS),
                rounds(30, 100) * kMib);
  }

  // The writer's waits for as long as `work` lasts.
  template <typename Work>
  Latency measure(Work work) {
    const std::string path = app_.scratch("latency");
    Child writer = app_.start_bank("main.sqlite3", GetParam(),
                                   {"--rate", std::to_string(kCommitsPerS), "--latency", path});
    work();
    EXPECT_EQ(writer.stop().code, 0);
    return read_latency(path);
  }

  Latency undisturbed() {
    return measure([] { pause_for(Milliseconds(4'000)); });
  }

  Pulled pull(std::uint64_t bytes_per_s) {
    proxy_.set_rate(bytes_per_s);
    Pulled pulled;
    pulled.latency = measure([&] {
      pulled.run = app_.backup({"--verify=none", "--full"}, Milliseconds(300'000));
    });
    EXPECT_EQ(pulled.run.exit_code(), 0) << pulled.run.words();
    const nlohmann::json& entry = pulled.run.database("main.sqlite3");
    if (entry.is_null()) return pulled;
    pulled.hold_s = entry["hold_s"];
    pulled.spooled_bytes = entry["spooled_bytes"];
    pulled.duration_s = pulled.run.json["duration_s"];
    return pulled;
  }

  static void print_pull(const std::string& what, const Pulled& pulled) {
    char more[120];
    std::snprintf(more, sizeof more, "pull %.1f s, held %.3f s, spooled %.1f MB", pulled.duration_s,
                  pulled.hold_s, static_cast<double>(pulled.spooled_bytes) / 1e6);
    print(what, pulled.latency, more);
  }

  PullFixture app_;
  TcpProxy proxy_;
  const int seconds_;  // what the database takes over the slow link
};

TEST_P(WriterLatency, DoesNotDependOnTheLink) {
  std::printf("  journal_mode=%s\n", GetParam());
  print("no pull", undisturbed());
  const Pulled fast = pull(0);
  print_pull("pull, fast link", fast);
  const Pulled slow = pull(kOneMbitBytesPerS);
  print_pull("pull, 1 Mbit/s", slow);

  ASSERT_GE(slow.duration_s, seconds_ - 1) << "the link was not slow enough to say anything";
  EXPECT_LT(fast.duration_s, slow.duration_s / 3);
  EXPECT_LT(slow.latency.max_ms, 2'000) << "a commit waited for the network";
  EXPECT_GT(static_cast<double>(slow.latency.count), slow.duration_s * kCommitsPerS / 10);
  if (std::string(GetParam()) == "wal") return;
  // A reader blocks these writers: it must be gone long before the link is done.
  EXPECT_LT(slow.hold_s, slow.duration_s / 4);
  EXPECT_LT(slow.hold_s, 2);
  // Past what SSH itself takes ahead, and 8 MiB in memory.
  if (seconds_ >= 60) {
    EXPECT_GT(slow.spooled_bytes, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(JournalModes, WriterLatency, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

// More than fits in memory, over a link that is fast enough for a short test.
class BoundedHold : public testing::Test {
 protected:
  BoundedHold() : app_(Over::kSsh), proxy_(app_.sshd().port()) {
    app_.reach_through(proxy_.port());
    add_ballast(app_.in_storage("main.sqlite3"), 20 * kMib, 0);
    proxy_.set_rate(4 * kMib);
  }

  void expect_spooled(const std::string& journal_mode) {
    const Child writer = app_.start_bank("main.sqlite3", journal_mode, {"--rate", "50"});
    const std::uint64_t acknowledged = read_ack(app_.ack_path("main.sqlite3"));
    const BackupRun run = app_.backup({"--verify=none", "--full"});
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(check_bank(run.file("main.sqlite3"), acknowledged).failure, "");
    const nlohmann::json& entry = run.database("main.sqlite3");
    EXPECT_GT(entry["spooled_bytes"], kMib) << run.words();
    EXPECT_GT(run.json["duration_s"], 3) << "the link was not slow enough to say anything";
    EXPECT_LT(entry["hold_s"], 2) << run.words();
  }

  PullFixture app_;
  TcpProxy proxy_;
};

TEST_F(BoundedHold, ARollbackDatabaseIsSpooledAtOnce) {
  expect_spooled("delete");
}

TEST_F(BoundedHold, AWalDatabaseIsSpooledOnceItsTimeIsUp) {
  app_.set("HOLD_MAX_SECONDS", "1");
  expect_spooled("wal");
}

TEST_F(BoundedHold, AWalDatabaseMayWaitForTheNetworkUntilThen) {
  const Child writer = app_.start_bank("main.sqlite3", "wal", {"--rate", "50"});
  const BackupRun run = app_.backup({"--verify=none", "--full"});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.database("main.sqlite3")["spooled_bytes"], 0) << run.words();
}

}  // namespace
}  // namespace litepull::test
