// PING_URL and NOTIFY_COMMAND report each run, against a real HTTP server and a real shell.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

#include "tests/support/http_server.h"
#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

class Report : public testing::Test {
 protected:
  Report() { app_.make_bank("main.sqlite3", "wal"); }

  void break_it() { app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere")); }
  void mend_it() { app_.set("REMOTE_BACKUP_DIR", app_.storage()); }

  PullFixture app_{Over::kLocal};
};

TEST_F(Report, AGoodRunIsPingedAtItsStartAndAtItsEnd) {
  const HttpServer server;
  app_.set("PING_URL", server.url("/uuid"));
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.process.err, "");
  EXPECT_EQ(server.requests(), (std::vector<HttpRequest>{{"GET", "/uuid/start", ""}, {"GET", "/uuid", ""}}));
}

TEST_F(Report, AFailureIsPingedWithTheEndOfTheLog) {
  const HttpServer server;
  app_.set("PING_URL", server.url("/uuid"));
  app_.set("CONECT_TIMEOUT", "5");  // a warning, which is in the log
  break_it();
  EXPECT_EQ(app_.backup().exit_code(), 2);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[1].method, "POST");
  EXPECT_EQ(requests[1].target, "/uuid/fail");
  EXPECT_TRUE(requests[1].body.starts_with("app: failed: ")) << requests[1].body;
  EXPECT_NE(requests[1].body.find("CONECT_TIMEOUT is not a key"), std::string::npos) << requests[1].body;
  EXPECT_EQ(requests[1].body.find("uuid"), std::string::npos) << requests[1].body;
}

TEST_F(Report, ADamagedDatabaseIsAFailureThoughItIsPublished) {
  const HttpServer server;
  app_.set("PING_URL", server.url("/uuid"));
  write_file(app_.in_storage("other.sqlite3"),
             "no database at all, and longer than a header would have to be");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[1].target, "/uuid/fail");
  EXPECT_NE(server.requests()[1].body.find("other.sqlite3"), std::string::npos) << server.requests()[1].body;
}

TEST_F(Report, ADatabaseThatWentAwayIsAFailureThoughNothingWasEverChecked) {
  app_.make_bank("other.sqlite3", "delete");
  EXPECT_EQ(app_.backup({"--verify=none"}).exit_code(), 0);
  std::filesystem::remove(app_.in_storage("other.sqlite3"));
  for (int night = 0; night < 2; ++night) {
    const BackupRun run = app_.backup({"--verify=none"});
    EXPECT_EQ(run.exit_code(), 4) << run.words();
    EXPECT_NE(run.words().find("other.sqlite3"), std::string::npos) << run.words();
  }
}

// The first of the two never ends by itself.
TEST_F(Report, AnAppThatNeverHadItsTurnBeforeTheDeadlineIsAFailure) {
  write_file(app_.scratch("agent"), "#!/bin/sh\nexec sleep 60\n", 0700);
  app_.set_environment("LITEPULL_AGENT", app_.scratch("agent"));
  app_.set("NOTIFY_COMMAND", "echo $LITEPULL_APP $LITEPULL_EVENT >> " + app_.scratch("notified"));
  const std::string first = read_file(app_.config_path()), second = app_.scratch("second.env");
  write_file(second, first + "APP_NAME=second\n");
  EXPECT_EQ(app_.backup({second, "-j", "1", "--deadline", "1"}).exit_code(), 1);
  EXPECT_EQ(read_file(app_.scratch("notified")), "app failure\nsecond failure\n");
}

TEST_F(Report, APingThatDoesNotArriveOnlyWarnsAndTheUrlStaysSecret) {
  const ClosedPort port;
  app_.set("PING_URL", "http://127.0.0.1:" + std::to_string(port.port()) + "/very-secret");
  const std::string log = app_.scratch("log");
  const BackupRun run = app_.backup({"--log-file", log});
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(run.process.err.find("the ping to http://127.0.0.1 (PING_URL) did not arrive"), std::string::npos)
      << run.process.err;
  for (const std::string& text : {run.process.err, run.process.out, read_file(log)})
    EXPECT_EQ(text.find("very-secret"), std::string::npos) << text;
}

TEST_F(Report, AUrlThatIsNoneIsRefusedWithoutBeingShown) {
  app_.set("PING_URL", "file:///very-secret");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 2);
  EXPECT_EQ((run.process.err + run.process.out).find("very-secret"), std::string::npos) << run.words();
  EXPECT_NE(run.process.err.find("PING_URL"), std::string::npos);
}

TEST_F(Report, FailureAndRecoveryAreNotifiedAndWhatIsGoodIsNot) {
  const std::string said = app_.scratch("said");
  app_.set("NOTIFY_COMMAND",
           "{ echo \"$LITEPULL_EVENT $LITEPULL_APP $LITEPULL_EXIT_CODE $LITEPULL_SNAPSHOT\";"
           " echo \"$LITEPULL_MESSAGE\"; cat; } >>" +
               said);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  EXPECT_FALSE(std::filesystem::exists(said));
  break_it();
  ASSERT_EQ(app_.backup().exit_code(), 2);
  std::string text = read_file(said);
  EXPECT_TRUE(text.starts_with("failure app 2 \napp: failed: ")) << text;
  const std::string message = text.substr(15, text.find('\n', 15) - 15);
  EXPECT_NE(text.find("\n" + message + "\n", 16), std::string::npos)
      << "the message is on stdin, too: " << text;
  mend_it();
  std::filesystem::remove(said);
  const BackupRun good = app_.backup();
  ASSERT_EQ(good.exit_code(), 0);
  text = read_file(said);
  const std::string name = std::filesystem::path(good.snapshot()).filename();
  EXPECT_EQ(text,
            "recovery app 0 " + name + "\napp: good again: " + name + "\napp: good again: " + name + "\n");
  ASSERT_EQ(app_.backup().exit_code(), 0);
  EXPECT_EQ(read_file(said), text);
}

TEST_F(Report, ACommandThatFailsOnlyWarns) {
  app_.set("NOTIFY_COMMAND", "echo no mail here; exit 9");
  break_it();
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 2);
  EXPECT_NE(run.process.err.find("NOTIFY_COMMAND ended with status 9: no mail here"), std::string::npos)
      << run.process.err;
}

TEST_F(Report, WhereNoDirectoryCanBeMadeTheFailureIsStillTold) {
  const HttpServer server;
  app_.set("PING_URL", server.url("/uuid"));
  write_file(app_.scratch("a file"), "");
  app_.set("LOCAL_BACKUP_ROOT", app_.scratch("a file/backups"));
  EXPECT_EQ(app_.backup().exit_code(), 1);
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests()[0].target, "/uuid/fail");
}

// The first run is held at its start by a monitoring service that takes its time.
TEST_F(Report, ARunThatFindsAnotherAtWorkTellsNobody) {
  std::atomic<bool> go_on{false};
  const HttpServer server([&](const HttpRequest&) {
    eventually([&] { return go_on.load(); });
    return HttpReply{};
  });
  app_.set("PING_URL", server.url("/uuid"));
  app_.set("NOTIFY_COMMAND", "touch " + app_.scratch("notified"));
  Child first = app_.start_backup();
  ASSERT_TRUE(eventually([&] { return server.requests().size() == 1; }));
  EXPECT_EQ(app_.backup().exit_code(), 5);
  go_on = true;
  EXPECT_EQ(app_.finish_backup(first).exit_code(), 0);
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests().back().target, "/uuid");
  EXPECT_FALSE(std::filesystem::exists(app_.scratch("notified")));
}

}  // namespace
}  // namespace litepull::test
