// What `status` says of an app after each outcome of a run.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "tests/support/http_server.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {

namespace fs = std::filesystem;

class Status : public testing::Test {
 protected:
  Status() { app_.make_bank("main.sqlite3", "wal"); }

  nlohmann::json status(int exit_code) {
    const ProcessResult said = app_.litepull({"status", "--json"});
    EXPECT_EQ(said.status.code, exit_code) << said.out << said.err;
    const auto json = nlohmann::json::parse(said.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << said.out << said.err;
    return json.is_object() ? json : nlohmann::json::object();
  }

  // As if it had been made two days ago: its name and its manifest say so.
  void make_older() {
    const std::string path = app_.snapshots().back();
    const std::string name = fs::path(path).filename(), old_name = "2020-01-01T020000+0000";
    std::string manifest = read_file(path + "/manifest.json");
    manifest.replace(manifest.find(name), name.size(), old_name);
    auto json = nlohmann::json::parse(manifest);
    json["format"] = 1;  // which has no checksum of its own
    json.erase("checksum");
    write_file(path + "/manifest.json", json.dump());
    fs::rename(path, app_.app_directory() + "/" + old_name);
  }

  PullFixture app_{Over::kLocal};
};

TEST_F(Status, FollowsAnAppThroughFailureAndRecovery) {
  EXPECT_EQ(status(6)["state"], "none");
  const BackupRun first = app_.backup();
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  auto json = status(0);
  EXPECT_EQ(json["state"], "ok");
  EXPECT_EQ(json["newest_good"]["path"], first.snapshot());
  EXPECT_EQ(json["last_run"]["exit_code"], 0);
  EXPECT_EQ(json["last_run"]["snapshot"], json["newest_good"]["name"]);
  EXPECT_TRUE(json["last_failure"].is_null());

  fs::rename(app_.storage(), app_.scratch("away"));
  EXPECT_EQ(app_.backup().exit_code(), 2);
  json = status(0);  // what there is is still fresh
  EXPECT_EQ(json["failing"], true);
  EXPECT_EQ(json["last_failure"]["exit_code"], 2);
  EXPECT_NE(json["last_failure"]["message"].get<std::string>().find(app_.storage()), std::string::npos);
  EXPECT_EQ(app_.litepull({"status", "--nagios"}).status.code, 1);

  make_older();
  json = status(6);
  EXPECT_EQ(json["state"], "too_old");
  EXPECT_EQ(app_.litepull({"status", "--nagios"}).status.code, 2);
  app_.set("MAX_AGE_HOURS", "200000");
  EXPECT_EQ(status(0)["state"], "ok");
  app_.set("MAX_AGE_HOURS", "");

  fs::rename(app_.scratch("away"), app_.storage());
  EXPECT_EQ(app_.backup().exit_code(), 0);
  json = status(0);
  EXPECT_EQ(json["failing"], false);
  EXPECT_EQ(json["last_failure"]["exit_code"], 2);
  EXPECT_EQ(app_.litepull({"status", "--nagios"}).status.code, 0);
  EXPECT_EQ(app_.litepull({"cleanup"}).status.code, 0);
  EXPECT_EQ(status(0)["last_failure"], json["last_failure"]) << "cleanup took the record";
}

TEST_F(Status, ARunThatIsKilledHasBegunAndNeverEnded) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  // A monitoring service that says nothing holds the run at its start.
  HttpReply silence;
  silence.manner = HttpReply::Manner::kSayNothing;
  const HttpServer server([&](const HttpRequest&) { return silence; });
  app_.set("PING_URL", server.url("/uuid"));
  Child run = app_.start_backup();
  ASSERT_TRUE(eventually([&] { return server.requests().size() == 1; }));
  EXPECT_EQ(status(0)["last_run"]["state"], "running");
  ::kill(-run.pid(), SIGKILL);
  run.wait(Milliseconds(10'000));
  app_.set("PING_URL", "");
  const auto json = status(0);
  EXPECT_EQ(json["last_run"]["state"], "killed");
  EXPECT_TRUE(json["last_failure"]["exit_code"].is_null());
  ASSERT_EQ(app_.backup().exit_code(), 0);
  EXPECT_EQ(status(0)["last_run"]["state"], "ended");
  EXPECT_EQ(status(0)["last_failure"], json["last_failure"]);
}

TEST_F(Status, ARecordThatCannotBeWrittenFailsNoBackup) {
  fs::create_directories(app_.app_directory() + "/.last-run.json");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(run.process.err.find("warning: app: what `litepull status` reads was not written"),
            std::string::npos)
      << run.process.err;
  EXPECT_TRUE(status(0)["last_run"].is_null());
}

TEST_F(Status, AllIsEveryConfigurationOfADirectory) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const std::string projects = app_.scratch("projects"), metrics = app_.scratch("litepull.prom");
  write_file(projects + "/app.env", read_file(app_.config_path()));
  write_file(projects + "/broken.env", "APP_NAME=\n");
  write_file(projects + "/example.env.sample", "nonsense\n");
  const auto all = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {built_program("litepull"), "status", "--all", "--projects", projects});
    return run(options);
  };
  const ProcessResult table = all({});
  EXPECT_EQ(table.status.code, 2) << table.out << table.err;
  EXPECT_NE(table.out.find("app"), std::string::npos);
  EXPECT_NE(table.out.find("UNKNOWN"), std::string::npos) << table.out;
  EXPECT_EQ(nlohmann::json::parse(all({"--json"}).out).size(), 2U);
  EXPECT_EQ(all({"--nagios"}).status.code, 3);

  fs::remove(projects + "/broken.env");
  const ProcessResult written = all({"--prometheus", metrics});
  EXPECT_EQ(written.status.code, 0) << written.err;
  EXPECT_NE(read_file(metrics).find("litepull_fresh{app=\"app\""), std::string::npos);
  struct stat info {};
  ASSERT_EQ(::stat(metrics.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
  EXPECT_EQ(all({"--prometheus", app_.scratch("missing/x.prom")}).status.code, 1);
  EXPECT_EQ(
      run({built_program("litepull"), "status", "--all", "--projects", app_.scratch("none")}).status.code, 2);
}

TEST_F(Status, AWrongCommandLineIsNoBackupThatIsTooOld) {
  EXPECT_EQ(run({built_program("litepull"), "status", "--nagios"}).status.code, 3);
  const ProcessResult none = run({built_program("litepull"), "status", "--nagios", app_.scratch("none.env")});
  EXPECT_EQ(none.status.code, 3);
  EXPECT_TRUE(none.out.starts_with("LITEPULL UNKNOWN - ")) << none.out;
}

}  // namespace
}  // namespace litepull::test
