// Pulls that take unchanged pages from the newest snapshot. They make the same files as a full pull, and
// send no more bytes than the changes need. base_damage_test.cpp has damaged bases, and resume_test.cpp
// interrupted pulls.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "common/wire/protocol.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/random_database.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kNearlyNothing = 64 * 1024;  // what a pull may cost beside the pages

std::uint64_t received_bytes(const BackupRun& run) {
  return run.json["wire"]["received_bytes"].get<std::uint64_t>();
}

std::uint32_t changed_pages(const BackupRun& run, const std::string& name) {
  return run.database(name)["changed_pages"].get<std::uint32_t>();
}

// --- whatever happened to the databases ------------------------------------------------------------------

// Some databases, and two legs in which they change: the second one's base came out of a delta itself.
class History {
 public:
  History(Over over, std::uint64_t seed) : app_(over), random_(seed) {
    app_.set("DATABASES", "**/*.sqlite3");
    app_.set("EXCLUDE", "**/*.copy");  // what RandomDatabase keeps beside them
    const int count = pick(random_, 1, 3);
    for (int i = 0; i < count; ++i) {
      const std::string name = kNames[i];
      databases_[name] = std::make_unique<RandomDatabase>(app_.in_storage(name), random_);
    }
    base_ = publish({});
  }

  void leg() {
    change();
    if (testing::Test::HasFailure()) return;
    const std::string delta = publish({}), full = publish({"--full"});
    for (const auto& [name, database] : databases_) compare(name, delta, full);
    base_ = pick(random_, 0, 1) == 0 ? delta : full;
    keep_snapshot(app_, base_);
  }

  const std::string& told() const { return told_; }

 private:
  static constexpr const char* kNames[] = {"main.sqlite3", "tenants/a.sqlite3", "tenants/b.sqlite3"};

  void tell(const std::string& what) { told_ += "\n  " + what; }

  void change() {
    touched_.clear();
    const int steps = pick(random_, 1, 4);
    for (int i = 0; i < steps; ++i) {
      auto chosen = databases_.begin();
      std::advance(chosen, pick<std::ptrdiff_t>(random_, 0, std::ssize(databases_) - 1));
      touched_.insert(chosen->first);
      tell(chosen->first + ": " + chosen->second->step());
    }
    for (auto& [name, database] : databases_) {
      if (!touched_.contains(name) || pick(random_, 0, 1) == 0) continue;
      database->keep_open();
      tell(name + " is open");
    }
  }

  std::string publish(const std::vector<std::string>& arguments) {
    runs_.push_back(pull(app_, arguments));
    const BackupRun& run = runs_.back();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.process.err, "") << run.words();
    if (run.snapshot().empty()) throw std::runtime_error("nothing was published: " + run.words());
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(why_hashes_do_not_fit(run.snapshot()), "");
    return make_older(run.snapshot());
  }

  void compare(const std::string& name, const std::string& delta, const std::string& full) {
    EXPECT_EQ(why_not_equal(delta + "/" + name, full + "/" + name), "");
    // Without a log all there is is in the file, and it is that file.
    if (!fs::exists(app_.in_storage(name) + "-wal")) {
      EXPECT_EQ(why_not_equal(delta + "/" + name, app_.in_storage(name)), "");
    }
    const std::string before = read_file(base_ + "/" + name), now = read_file(delta + "/" + name);
    const BackupRun &run = runs_[runs_.size() - 2], &full_run = runs_.back();
    EXPECT_EQ(changed_pages(run, name), pages_to_send(before, now)) << name;
    EXPECT_EQ(changed_pages(full_run, name), run.database(name)["pages"].get<std::uint32_t>()) << name;
    EXPECT_TRUE(full_run.database(name)["base"].is_null());
    if (!touched_.contains(name)) {
      EXPECT_EQ(changed_pages(run, name), 0U) << name;
    }
    if (page_size_in(before) == page_size_in(now)) {
      EXPECT_EQ(run.database(name)["base"], fs::path(base_).filename().string()) << name;
    } else {
      EXPECT_TRUE(run.database(name)["base"].is_null()) << name;
    }
  }

  PullFixture app_;
  std::mt19937_64 random_;
  std::map<std::string, std::unique_ptr<RandomDatabase>> databases_;
  std::set<std::string> touched_;
  std::vector<BackupRun> runs_;
  std::string base_;
  std::string told_;
};

void play(Over over, int histories) {
  const std::uint64_t first = test_seed();
  for (std::uint64_t seed = first; seed < first + static_cast<std::uint64_t>(histories); ++seed) {
    History history(over, seed);
    for (int i = 0; i < 2 && !testing::Test::HasFailure(); ++i) history.leg();
    if (testing::Test::HasFailure())
      FAIL() << "in the history that LITEPULL_SEED=" << seed << " plays again:" << history.told();
  }
}

TEST(Delta, IsByteForByteWhatAFullPullIsWhateverHappenedToTheDatabases) {
  play(Over::kLocal, rounds(25, 300));
}

TEST(Delta, IsTheSameOverSsh) {
  play(Over::kSsh, rounds(3, 30));
}

// --- what it costs ---------------------------------------------------------------------------------------

TEST(Delta, OfALargeDatabaseThatHasNotChangedCostsNearlyNothing) {
  PullFixture app(Over::kLocal);
  make_rows(app.in_storage("main.sqlite3"), 12'500, 4'000);
  ASSERT_GE(fs::file_size(app.in_storage("main.sqlite3")), 50'000'000U);
  const BackupRun first = pull(app);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  make_older(first.snapshot());
  const BackupRun run = pull(app);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(changed_pages(run, "main.sqlite3"), 0U);
  EXPECT_LT(received_bytes(run), kNearlyNothing);
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
}

TEST(Delta, OfManyDatabasesSendsOnlyPagesOfThoseThatChanged) {
  PullFixture app(Over::kSsh);
  std::mt19937_64 random(test_seed());
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("tenant" + std::to_string(i) + ".sqlite3");
  for (const std::string& name : names) make_rows(app.in_storage(name), 40, 4'000);
  const BackupRun first = pull(app);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  make_older(first.snapshot());

  const std::set<std::string> changed{names[7], names[31]};
  for (const std::string& name : changed) change_rows(app.in_storage(name), 3, random);
  const BackupRun run = pull(app);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    EXPECT_EQ(changed_pages(run, name) > 0, changed.contains(name)) << name;
    EXPECT_LT(changed_pages(run, name), run.database(name)["pages"].get<std::uint32_t>() / 2) << name;
    EXPECT_EQ(why_not_equal(run.file(name), app.in_storage(name)), "");
    bytes += std::uint64_t{changed_pages(run, name)} * run.database(name)["page_size"].get<std::uint64_t>();
  }
  EXPECT_LT(received_bytes(run), kNearlyNothing + bytes);
}

// More pages than hashes may be on their way at once, in the first database and in both together: whoever
// waits for room must be told of it.
TEST(Delta, OfMorePagesThanHashesMayBeAheadComesToItsEnd) {
  PullFixture app(Over::kLocal);
  std::mt19937_64 random(test_seed());
  const std::vector<std::string> names{"a.sqlite3", "b.sqlite3"};
  for (const std::string& name : names) {
    SQLite::Database database(app.in_storage(name), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(
        "PRAGMA page_size=512; PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)");
    database.exec("INSERT INTO t VALUES (1, zeroblob(140000000)), (2, randomblob(100000))");
  }
  const BackupRun first = pull(app);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  ASSERT_GT(first.database(names[0])["pages"].get<std::uint32_t>(), kHashWindow);
  make_older(first.snapshot());
  for (const std::string& name : names)
    SQLite::Database(app.in_storage(name), SQLite::OPEN_READWRITE)
        .exec("UPDATE t SET body = randomblob(100000) WHERE id = 2");
  const BackupRun run = pull(app);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  // The second may be pinned in its turn, with a word about it: the hashes that were wanted still count.
  EXPECT_EQ(run.process.err.find("pulled whole"), std::string::npos) << run.words();
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
  for (const std::string& name : names) {
    EXPECT_LT(changed_pages(run, name), 300U);
    EXPECT_EQ(why_not_equal(run.file(name), app.in_storage(name)), "");
  }
}

// --- while it is written ---------------------------------------------------------------------------------

// A writer of a rollback-journal database is locked out while its pages are read. Nothing but reading may be
// done meanwhile: not waiting for a link that takes seconds, nor for a client that reads its base.
TEST(Delta, LetsAWriterWithoutALogGoOnWhileTheLinkIsSlow) {
  constexpr std::uint64_t kBytesPerS = 600'000;
  PullFixture app(Over::kSsh);
  TcpProxy proxy(app.sshd().port());
  app.reach_through(proxy.port());
  const std::string name = "bank.sqlite3";
  Child writer = app.start_bank(name, "delete", {"--accounts", "30000", "--rate", "300"});
  const BackupRun first = pull(app);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  const std::uint64_t at_first = read_ack(app.ack_path(name));
  ASSERT_TRUE(eventually([&] { return read_ack(app.ack_path(name)) > at_first + 150; }));

  proxy.set_rate(kBytesPerS);
  const std::uint64_t before = read_ack(app.ack_path(name));
  std::uint64_t longest_stop_ms = 0, seen = before;
  Child client = app.start_backup({"--verify=none"});
  auto moved = std::chrono::steady_clock::now();
  while (client.running()) {
    const auto now = std::chrono::steady_clock::now();
    const auto stop = std::chrono::duration_cast<Milliseconds>(now - moved).count();
    longest_stop_ms = std::max(longest_stop_ms, static_cast<std::uint64_t>(stop));
    if (const std::uint64_t ack = read_ack(app.ack_path(name)); ack != seen) seen = ack, moved = now;
    pause_for(Milliseconds(5));
  }
  const BackupRun run = app.finish_backup(client);
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_FALSE(run.database(name)["base"].is_null());
  EXPECT_GT(changed_pages(run, name), 0U);
  EXPECT_LT(changed_pages(run, name), run.database(name)["pages"].get<std::uint32_t>());
  const double on_the_way_s = static_cast<double>(received_bytes(run)) / static_cast<double>(kBytesPerS);
  std::printf("  %llu commits while %.1f s of pages were on their way; the longest stop was %llu ms\n",
              static_cast<unsigned long long>(seen - before), on_the_way_s,
              static_cast<unsigned long long>(longest_stop_ms));
  EXPECT_GT(on_the_way_s, 1);
  EXPECT_GT(seen, before + 20);
  EXPECT_LT(longest_stop_ms, 1'000U);
  EXPECT_EQ(check_bank(run.file(name), before).failure, "");
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
}

}  // namespace
}  // namespace litepull::test
