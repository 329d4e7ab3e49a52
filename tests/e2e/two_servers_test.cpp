// One directory of snapshots and two servers: somebody copied a configuration and forgot its APP_NAME.
// Nothing of one server is ever taken for the other's.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

void make_named(const std::string& directory, const std::string& name) {
  fs::create_directories(directory);
  SQLite::Database database(directory + "/main.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE whose(name); INSERT INTO whose VALUES('" + name + "')");
}

std::string name_in(const std::string& directory) {
  SQLite::Database database(directory + "/main.sqlite3", SQLite::OPEN_READONLY);
  return database.execAndGet("SELECT name FROM whose").getString();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

// As a litepull of before wrote it, which knew neither keys nor ids.
void make_old(const std::string& snapshot) {
  const std::string path = snapshot + "/manifest.json";
  auto json = nlohmann::json::parse(read_file(path));
  json["format"] = 1;
  for (const char* key : {"checksum", "moved_from"}) json.erase(key);
  for (const char* key : {"host_key", "proxy", "app_id"}) json["server"].erase(key);
  write_file(path, json.dump());
}

class TwoServers : public testing::Test {
 protected:
  TwoServers() {
    make_named(app_.storage(), "production");
    make_named(staging_storage(), "staging");
    app_.set("APP_ID", "a-copied-file-keeps-it");
  }

  std::string staging_storage() const { return app_.scratch("staging-storage"); }

  void use_production() {
    app_.set("SERVER_PORT", std::to_string(app_.sshd().port()));
    app_.set("SSH_KEY", app_.sshd().key_path());
    app_.set("SSH_KNOWN_HOSTS", app_.sshd().known_hosts_path());
    app_.set("REMOTE_BACKUP_DIR", app_.storage());
  }
  void use_staging() {
    app_.set("SERVER_PORT", std::to_string(staging_.port()));
    app_.set("SSH_KEY", staging_.key_path());
    app_.set("SSH_KNOWN_HOSTS", staging_.known_hosts_path());
    app_.set("REMOTE_BACKUP_DIR", staging_storage());
  }

  // A command of that configuration, CONFIG in its place.
  ProcessResult run_words(std::vector<std::string> words) {
    words.insert(words.begin(), built_program("litepull"));
    words.insert(words.begin() + 2, app_.config_path());
    return run(words);
  }
  nlohmann::json json_of(std::vector<std::string> words, int exit_code = 0) {
    words.push_back("--json");
    const ProcessResult said = run_words(words);
    EXPECT_EQ(said.status.code, exit_code) << said.out << said.err;
    auto json = nlohmann::json::parse(said.out, nullptr, false);
    return json.is_array() && !json.empty() ? json[0] : json;
  }
  void expect_both(const std::string& text) {
    EXPECT_NE(text.find(":" + app_.storage()), std::string::npos) << text;
    EXPECT_NE(text.find(":" + staging_storage()), std::string::npos) << text;
  }

  // Production's, then staging's, as a litepull of before let them come about. Their names.
  std::pair<std::string, std::string> mix() {
    const BackupRun own = app_.backup();
    EXPECT_EQ(own.exit_code(), 0) << own.words();
    use_staging();
    const BackupRun foreign = app_.backup({"--moved"});
    EXPECT_EQ(foreign.exit_code(), 0) << foreign.words();
    make_old(foreign.snapshot());
    use_production();
    return {fs::path(own.snapshot()).filename(), fs::path(foreign.snapshot()).filename()};
  }

  PullFixture app_{Over::kSsh};
  SshdFixture staging_;
};

TEST_F(TwoServers, ACopiedConfigurationStopsBeforeAnythingIsPulled) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  fs::create_directory(app_.app_directory() + "/.partial-cut");
  write_file(app_.app_directory() + "/.partial-cut/main.sqlite3", std::string(2 << 20, 'x'));
  use_staging();
  const BackupRun stopped = app_.backup();
  EXPECT_EQ(stopped.exit_code(), 2) << stopped.words();
  expect_both(stopped.process.err);
  EXPECT_NE(stopped.process.err.find("--moved"), std::string::npos) << stopped.process.err;
  EXPECT_EQ(app_.snapshots().size(), 1U);
  EXPECT_TRUE(fs::exists(app_.app_directory() + "/.partial-cut")) << "production's next run goes on with it";
  EXPECT_TRUE(fs::is_empty(staging_.remote_cache())) << "not even an agent goes to the wrong server";
  use_production();
  EXPECT_EQ(app_.backup().exit_code(), 0);
}

TEST_F(TwoServers, TheManifestRecordsWhomASnapshotCameFrom) {
  const BackupRun backup = app_.backup();
  ASSERT_EQ(backup.exit_code(), 0) << backup.words();
  const auto server = nlohmann::json::parse(read_file(backup.snapshot() + "/manifest.json"))["server"];
  EXPECT_EQ(server["host"], "127.0.0.1");
  EXPECT_EQ(server["directory"], app_.storage());
  EXPECT_EQ(server["app_id"], "a-copied-file-keeps-it");
  const ProcessResult key = run({"ssh-keygen", "-l", "-f", app_.sshd().known_hosts_path()});
  EXPECT_NE(key.out.find(" " + server["host_key"].get<std::string>() + " "), std::string::npos) << key.out;
}

TEST_F(TwoServers, EveryCommandKeepsThemApart) {
  const auto [own, foreign] = mix();

  const auto listed = json_of({"list"});
  ASSERT_EQ(listed["snapshots"].size(), 2U);
  EXPECT_EQ(listed["snapshots"][0]["origin"], "here");
  EXPECT_EQ(listed["snapshots"][1]["origin"], "foreign");
  EXPECT_EQ(listed["snapshots"][1]["source"]["directory"], staging_storage());
  EXPECT_NE(run_words({"list"}).out.find("foreign  from "), std::string::npos);

  const auto status = json_of({"status"});
  EXPECT_EQ(status["newest_good"]["name"], own);
  EXPECT_EQ(status["foreign_snapshots"], 1);
  expect_both(status["notes"].dump());

  const auto check = json_of({"check"}, 2);
  expect_both(check["steps"].dump());

  const BackupRun stopped = app_.backup();
  EXPECT_EQ(stopped.exit_code(), 2) << stopped.words();
  expect_both(stopped.process.err);

  for (const auto& decision : json_of({"cleanup", "--dry-run"})["decisions"]) {
    EXPECT_EQ(decision["keep"], true);
    EXPECT_EQ(decision["reason"].get<std::string>().find("left alone") != std::string::npos,
              decision["name"] == foreign);
  }
  json_of({"verify", foreign});
  json_of({"pin", foreign});
  json_of({"unpin", foreign});
  EXPECT_EQ(run_words({"open", foreign, "--", "SELECT name FROM whose"}).out, "staging\n");

  EXPECT_TRUE(json_of({"diff", own, "live"})["a"]["origin"].is_null());
  EXPECT_NE(json_of({"diff", foreign, "live"})["a"]["origin"].dump().find(staging_storage()),
            std::string::npos);

  const ProcessResult here = run_words({"restore", foreign, "--to", app_.scratch("restored")});
  EXPECT_EQ(here.status.code, 0) << here.err;
  EXPECT_NE(here.err.find(staging_storage()), std::string::npos) << here.err;
}

TEST_F(TwoServers, ProductionGetsStagingsDataOnlyWhenThatIsSaid) {
  const auto [own, foreign] = mix();
  for (const std::vector<std::string>& how :
       std::vector<std::vector<std::string>>{{"--yes", "app"}, {"-n"}}) {
    std::vector<std::string> words{"restore", foreign, "--to-server"};
    words.insert(words.end(), how.begin(), how.end());
    const ProcessResult refused = run_words(words);
    EXPECT_EQ(refused.status.code, 2) << refused.out << refused.err;
    expect_both(refused.err);
    EXPECT_NE(refused.err.find("--from-other-server"), std::string::npos) << refused.err;
    EXPECT_EQ(name_in(app_.storage()), "production");
  }
  EXPECT_EQ(app_.snapshots().size(), 2U) << "not even a safety snapshot";

  const ProcessResult done =
      run_words({"restore", foreign, "--to-server", "--yes", "app", "--from-other-server"});
  EXPECT_EQ(done.status.code, 0) << done.out << done.err;
  expect_both(done.out);
  EXPECT_EQ(name_in(app_.storage()), "staging");

  // What was there is production's own: the way back needs no word.
  const std::string safety = fs::path(app_.snapshots().back()).filename();
  EXPECT_EQ(run_words({"restore", safety, "--to-server", "--yes", "app"}).status.code, 0);
  EXPECT_EQ(name_in(app_.storage()), "production");
  EXPECT_EQ(json_of({"restore", own, "--to-server", "-n"})["other_source"], nullptr);
  EXPECT_EQ(app_.backup().exit_code(), 2) << "the newest that no restore made is still staging's";
}

TEST_F(TwoServers, AnAppThatHasMovedSaysSoOnce) {
  const BackupRun before = app_.backup();
  ASSERT_EQ(before.exit_code(), 0) << before.words();
  EXPECT_EQ(app_.backup({"--moved"}).exit_code(), 2) << "it has not";
  use_staging();
  app_.set("SERVER_PORT", "1");
  EXPECT_EQ(app_.backup({"--moved"}).exit_code(), 3);
  use_staging();
  EXPECT_EQ(app_.backup().exit_code(), 2) << "a run that failed has recorded nothing";
  const BackupRun moved = app_.backup({"--moved"});
  ASSERT_EQ(moved.exit_code(), 0) << moved.words();
  EXPECT_EQ(moved.json["moved_from"]["directory"], app_.storage());
  const auto manifest = nlohmann::json::parse(read_file(moved.snapshot() + "/manifest.json"));
  EXPECT_EQ(manifest["moved_from"]["directory"], app_.storage());
  EXPECT_EQ(app_.backup().exit_code(), 0);

  const auto listed = json_of({"list"})["snapshots"];
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0]["origin"], "moved");
  EXPECT_EQ(listed[2]["origin"], "here");
  EXPECT_EQ(json_of({"status"})["foreign_snapshots"], 0) << "they are the app's own";
  EXPECT_EQ(run_words({"restore", listed[0]["name"], "--to-server", "--yes", "app"}).status.code, 2);
  EXPECT_EQ(name_in(staging_storage()), "staging");
}

TEST_F(TwoServers, AServerThatIsCalledOtherwiseOrHasANewKeyStopsNoNight) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const std::string line = app_.sshd().known_hosts_line();
  write_file(app_.sshd().known_hosts_path(), line + replaced(line, "127.0.0.1", "localhost"));
  app_.set("SERVER_HOST", "localhost");
  BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(run.process.err.find("has another name, and the same host key"), std::string::npos)
      << run.words();
  EXPECT_EQ(json_of({"list"})["snapshots"][0]["origin"], "here");

  app_.sshd().replace_host_keys();
  write_file(app_.sshd().known_hosts_path(),
             replaced(app_.sshd().known_hosts_line(), "127.0.0.1", "localhost"));
  run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_NE(run.process.err.find("another host key, which known_hosts trusts"), std::string::npos)
      << run.words();
  run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(run.process.err.find("host key"), std::string::npos) << "once is enough\n" << run.words();
}

TEST_F(TwoServers, TwoConfigurationsOfOneDirectoryAreNotRunTogether) {
  const std::string copy = app_.scratch("staging.env");
  write_file(copy, replaced(read_file(app_.config_path()), app_.storage(), staging_storage()));
  const ProcessResult refused = run({built_program("litepull"), "backup", app_.config_path(), copy});
  EXPECT_EQ(refused.status.code, 2) << refused.out << refused.err;
  expect_both(refused.err);
  EXPECT_TRUE(app_.snapshots().empty());
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const ProcessResult seen = run({built_program("litepull"), "status", "--json", app_.config_path(), copy});
  const auto json = nlohmann::json::parse(seen.out, nullptr, false);
  ASSERT_EQ(json.size(), 2U) << seen.out << seen.err;
  for (const auto& entry : json) EXPECT_NE(entry["notes"].dump().find("both keep"), std::string::npos);
  EXPECT_EQ(json[0]["exit_code"], 0);
  EXPECT_EQ(json[1]["exit_code"], 6) << "production's snapshot is none of staging's";
}

}  // namespace
}  // namespace litepull::test
