#include "client/nightly/status.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/nightly/prune.h"
#include "client/nightly/status_text.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

constexpr std::int64_t kNow = 1'795'309'200;
constexpr std::int64_t kHour = 3600;
constexpr const char* kHash = "a3f0c1d29be84756108d2fe36c95b704";

class Status : public testing::Test {
 protected:
  Status() {
    config_.app_name = "billing";
    config_.file = "billing.env";
    config_.local_backup_root = dir_ / "backups";
  }

  // A snapshot with the database "rows", which has `bytes` according to its manifest.
  std::string publish(std::int64_t unix_s, Verified verified = Verified::kOk, std::uint64_t bytes = 4,
                      const std::string& host = "") {
    const Store store(config_.local_backup_root, "billing", Store::Missing::kCreate);
    const AppLock lock = store.lock();
    Staging staging = store.create_staging(lock);
    Fd file = staging.open_file("production.sqlite3");
    write_all(file.get(), "rows", 4, "rows");
    Manifest manifest;
    manifest.app = "billing";
    manifest.snapshot = format_snapshot_name({unix_s, 60});
    manifest.verified = verified;
    if (!host.empty()) manifest.server = {"ssh", host, 22, "deploy", "/data"};
    manifest.databases.resize(1);
    manifest.databases[0].name = "production.sqlite3";
    manifest.databases[0].bytes = bytes;
    manifest.databases[0].xxh128 = kHash;
    write_manifest(staging.fd(), manifest, staging.path());
    return store.publish(lock, std::move(staging), {unix_s, 60}).name;
  }

  void record(const RunRecord& record) {
    const Store store(config_.local_backup_root, "billing", Store::Missing::kCreate);
    store.write_record(store.lock(), to_json_text(record));
  }

  RunRecord ended(int exit_code, const std::string& message = "") {
    RunRecord record = begun_after(std::nullopt, (kNow - 120) * 1000, 1);
    end_run(record, (kNow - 60) * 1000, exit_code, message, "");
    return record;
  }

  std::string path(const std::string& name) const { return dir_ / "backups/billing/" + name; }
  AppStatus status() { return status_of(config_, kNow); }

  // The entry that the command would make.
  std::vector<StatusEntry> entries() {
    std::vector<StatusEntry> all(1);
    all[0].name = "billing";
    all[0].config = "/etc/\"quoted\"\\billing.env";
    all[0].status = status();
    all[0].exit_code = exit_code(*all[0].status);
    return all;
  }

  std::vector<StatusEntry> and_one_unknown() {
    std::vector<StatusEntry> all = entries();
    all.emplace_back();
    all[1].name = "shop.env";
    all[1].config = "/shop.env";
    all[1].error = std::make_unique<Error>(ErrorKind::kConfiguration, "APP_NAME is | missing");
    all[1].exit_code = 2;
    return all;
  }

  TempDir dir_;
  Config config_;
};

TEST_F(Status, WithoutAnythingThereIsNoGoodSnapshotAndNothingIsMade) {
  EXPECT_FALSE(status().newest);
  EXPECT_EQ(status().run_state, RunState::kNone);
  EXPECT_EQ(exit_code(status()), 6);
  EXPECT_FALSE(std::filesystem::exists(config_.local_backup_root));
}

TEST_F(Status, TheLimitItselfIsStillFresh) {
  config_.max_age_hours = 36;
  const std::string name = publish(kNow - 36 * kHour);
  ASSERT_TRUE(status().newest);
  EXPECT_EQ(status().newest->name, name);
  EXPECT_EQ(exit_code(status()), 0);
  EXPECT_EQ(exit_code(status_of(config_, kNow + 1)), 6);
  config_.max_age_hours = 37;
  EXPECT_EQ(exit_code(status_of(config_, kNow + 1)), 0);
}

TEST_F(Status, WhatLacksItsFilesCostsNoWholeSnapshotItsPlaceInACleanupEither) {
  const std::string whole = publish(kNow - 30 * 24 * kHour);
  const std::string gutted = publish(kNow - 29 * 24 * kHour);
  std::filesystem::remove(path(gutted) + "/production.sqlite3");
  const Store store(config_.local_backup_root, "billing", Store::Missing::kEmpty);
  config_.policy = {7};
  for (const Decision& decision : plan_prune(store, config_, {.now_unix_s = kNow}, false).decisions)
    EXPECT_TRUE(decision.keep || decision.name != whole) << decision.reason;
}

TEST_F(Status, AnotherServersSnapshotCountsForNothingAndIsNamed) {
  config_.server_host = "billing.example";
  config_.server_user = "deploy";
  config_.remote_backup_dir = "/data";
  const std::string own = publish(kNow - 40 * kHour, Verified::kOk, 4, "billing.example");
  const std::string foreign = publish(kNow - kHour, Verified::kOk, 4, "staging.example");
  const AppStatus seen = status();
  ASSERT_TRUE(seen.newest);
  EXPECT_EQ(seen.newest->name, own);
  EXPECT_EQ(exit_code(seen), 6);
  ASSERT_EQ(seen.notes.size(), 1U);
  for (const std::string& part :
       {foreign, std::string("deploy@staging.example:/data"), std::string("deploy@billing.example:/data")})
    EXPECT_NE(seen.notes[0].find(part), std::string::npos) << seen.notes[0];
  EXPECT_EQ(status_json(entries()[0])["foreign_snapshots"], 1);
}

TEST_F(Status, RetentionLeavesAnotherServersSnapshotsAloneAndTheyTakeNoPlace) {
  config_.server_host = "billing.example";
  config_.remote_backup_dir = "/data";
  config_.policy = {1};
  const std::string own = publish(kNow - 90 * 24 * kHour, Verified::kOk, 4, "billing.example");
  const std::string foreign = publish(kNow - 80 * 24 * kHour, Verified::kOk, 4, "staging.example");
  const std::string failed = publish(kNow - 70 * 24 * kHour, Verified::kFailed, 4, "billing.example");
  const std::string newest = publish(kNow - kHour, Verified::kOk, 4, "staging.example");
  const Store store(config_.local_backup_root, "billing", Store::Missing::kEmpty);
  const auto decisions = plan_prune(store, config_, {.now_unix_s = kNow}, false).decisions;
  ASSERT_EQ(decisions.size(), 4U);
  const std::string names[] = {own, foreign, failed, newest};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(decisions[i].name, names[i]);
    EXPECT_TRUE(decisions[i].keep) << decisions[i].reason;
  }
  EXPECT_NE(decisions[1].reason.find("deploy@staging.example:/data, left alone"), std::string::npos);
  EXPECT_EQ(decisions[0].reason, "newest verified snapshot");
}

TEST_F(Status, OnlyWhatIsProvenCounts) {
  const std::string good = publish(kNow - 30 * kHour);
  const std::string skipped = publish(kNow - 5 * kHour, Verified::kSkipped);
  publish(kNow - 4 * kHour, Verified::kPending);
  publish(kNow - 3 * kHour, Verified::kFailed);
  publish(kNow + 25 * kHour);
  write_file(path(format_snapshot_name({kNow - 2 * kHour, 60}) + "/production.sqlite3"), "the old script's");
  const std::string damaged = publish(kNow - kHour);
  write_file(path(damaged + "/manifest.json"), read_file(path(damaged + "/manifest.json")) + "x");
  publish(kNow - 6 * kHour, Verified::kOk, 5);  // shorter than its manifest says
  const std::string emptied = publish(kNow - 7 * kHour);
  std::filesystem::remove(path(emptied + "/production.sqlite3"));
  ASSERT_TRUE(status().newest);
  EXPECT_EQ(status().newest->name, good);
  const auto notes = status().notes;
  EXPECT_EQ(notes.size(), 8U);
  for (const std::string& name : {skipped, damaged, emptied})
    EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [&](const auto& note) {
      return note.starts_with(name);
    })) << name;
}

TEST_F(Status, ARunIsRunningWhileItHasTheLock) {
  const Store store(config_.local_backup_root, "billing", Store::Missing::kCreate);
  {
    const AppLock lock = store.lock();
    store.write_record(lock, to_json_text(begun_after(ended(1, "no"), (kNow - 60) * 1000, ::getpid())));
    EXPECT_EQ(status().run_state, RunState::kRunning);
    EXPECT_TRUE(status().failing());  // until it is known to be otherwise
  }
  EXPECT_EQ(status().run_state, RunState::kKilled);
  ASSERT_TRUE(status().last_failure);
  EXPECT_EQ(status().last_failure->at, rfc3339_utc((kNow - 60) * 1000));
}

TEST_F(Status, OneThatWasKilledDoesNotRunBecauseAnotherHasTheLock) {
  record(begun_after(std::nullopt, kNow * 1000, ::getpid() + 1));
  const Store store(config_.local_backup_root, "billing", Store::Missing::kCreate);
  const AppLock lock = store.lock();
  EXPECT_EQ(status().run_state, RunState::kKilled);
}

TEST_F(Status, NagiosIsToldTheWorstFirst) {
  publish(kNow - 2 * kHour);
  NagiosReport report = nagios_report(entries());
  EXPECT_EQ(report.state, NagiosState::kOk);
  EXPECT_TRUE(report.line.starts_with("LITEPULL OK - billing: ")) << report.line;
  EXPECT_TRUE(report.line.find(" | 'billing_age'=7200s;;129600;0 'billing_size'=") != std::string::npos)
      << report.line;
  record(ended(3, "a\nb|c"));
  report = nagios_report(entries());
  EXPECT_EQ(report.state, NagiosState::kWarning);
  EXPECT_EQ(std::count(report.line.begin(), report.line.end(), '|'), 1) << report.line;
  EXPECT_EQ(std::count(report.line.begin(), report.line.end(), '\n'), 0) << report.line;
  report = nagios_report(and_one_unknown());
  EXPECT_EQ(report.state, NagiosState::kUnknown);
  EXPECT_TRUE(report.line.starts_with("LITEPULL UNKNOWN - shop.env: APP_NAME is / missing; billing: "))
      << report.line;
  config_.max_age_hours = 1;
  EXPECT_EQ(nagios_report(and_one_unknown()).state, NagiosState::kCritical);
}

TEST_F(Status, MetricsHaveHelpTypeAndEscapedLabels) {
  const std::string name = publish(kNow - 2 * kHour);
  record(ended(3, "no"));
  const std::string text = prometheus_text(and_one_unknown());
  const std::string labels = R"({app="billing",config="/etc/\"quoted\"\\x5Cbilling.env"})";
  EXPECT_NE(text.find("# HELP litepull_fresh 1 when"), std::string::npos);
  EXPECT_NE(text.find("# TYPE litepull_fresh gauge\nlitepull_fresh" + labels + " 1\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("litepull_newest_good_snapshot_timestamp_seconds" + labels + " " +
                      std::to_string(kNow - 2 * kHour) + "\n"),
            std::string::npos);
  EXPECT_NE(text.find("litepull_last_run_exit_code" + labels + " 3\n"), std::string::npos);
  EXPECT_NE(text.find("litepull_status_exit_code{app=\"\",config=\"/shop.env\"} 2\n"), std::string::npos);
  std::vector<StatusEntry> twice = entries();
  twice.push_back(std::move(entries()[0]));
  EXPECT_EQ(prometheus_text(twice), prometheus_text(entries()));
}

TEST_F(Status, TheTableAndTheDocumentSayWhatFailed) {
  publish(kNow - 2 * kHour);
  record(ended(3, "no \x1b[2J route"));
  const std::string table = status_table(entries());
  EXPECT_NE(table.find("FAILED (3), 1 min ago"), std::string::npos) << table;
  EXPECT_NE(table.find("last failure: " + local_time("2026-11-22T00:59:00.000Z") +
                       " (1 min ago), exit code 3: no \\x1B[2J route"),
            std::string::npos)
      << table;
  const auto json = status_json(entries()[0]);
  EXPECT_EQ(json["state"], "ok");
  EXPECT_EQ(json["failing"], true);
  EXPECT_EQ(json["newest_good"]["age_s"], 2 * kHour);
  EXPECT_EQ(json["last_run"]["state"], "ended");
  EXPECT_EQ(json["last_failure"]["exit_code"], 3);
}

}  // namespace
}  // namespace litepull::test
