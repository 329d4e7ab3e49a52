// A configuration and database names from somebody who wants a command to run. No value is ever run, here
// or on the server. NOTIFY_COMMAND is a command by design, and the only one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>

#include "tests/support/baits.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

void make_database(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE t(body TEXT)");
}

// As the sample has them, which has all of them.
std::vector<std::string> keys() {
  std::istringstream in(
      read_file(fs::path(__FILE__).parent_path() / "../../config/projects/example.env.sample"));
  std::vector<std::string> keys;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) line.erase(0, 1);
    const std::size_t end = line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    if (end != std::string::npos && end > 0 && line[end] == '=') keys.push_back(line.substr(0, end));
  }
  return keys;
}

class Injection : public testing::TestWithParam<Over> {
 protected:
  Injection() : app_(GetParam()) {
    for (const char* name : {"systemctl", "loginctl"})
      write_file(app_.scratch("bin/") + name, "#!/bin/sh\nexit 0\n", 0700);
    app_.set_environment("PATH", app_.scratch("bin") + ":" + std::getenv("PATH"));
    app_.set_environment("HOME", app_.scratch("home"));
    app_.set_environment("XDG_CONFIG_HOME", app_.scratch("config-home"));
    app_.set_environment("SSH_AUTH_SOCK", "");
    app_.set("CONNECT_TIMEOUT", "5");
    // Into which all that goes wrong is put.
    app_.set("NOTIFY_COMMAND", "echo \"$LITEPULL_MESSAGE\" >> " + app_.scratch("notified"));
  }

  // A value of this key that is taken, and after which more of it might be.
  std::string good_value(const std::string& key) const {
    const std::map<std::string, std::string> values{{"APP_NAME", "app"},
                                                    {"WORKSPACE_DIR", app_.scratch("work")},
                                                    {"LOCAL_BACKUP_ROOT", app_.workspace()},
                                                    {"REMOTE_BACKUP_DIR", app_.storage()},
                                                    {"SERVER_USER", "root"},
                                                    {"SERVER_HOST", "127.0.0.1"},
                                                    {"SSH_KEY", app_.scratch("key")},
                                                    {"SSH_KNOWN_HOSTS", app_.scratch("known")},
                                                    {"SSH_CONFIG", app_.scratch("ssh-config")},
                                                    {"SSH_PROXY", "root@127.0.0.1"},
                                                    {"REMOTE_SUDO", "yes"},
                                                    {"TRANSPORT", "ssh"},
                                                    {"DATABASES", "*.sqlite3 "},
                                                    {"EXCLUDE", "x "},
                                                    {"PING_URL", "http://127.0.0.1:1/"}};
    const auto found = values.find(key);
    return found == values.end() ? "7" : found->second;  // the others are numbers
  }

  // True when a run got further than to the file.
  bool runs_without(const std::string& canary) {
    const BackupRun run = app_.backup();
    EXPECT_FALSE(run.process.timed_out);
    EXPECT_FALSE(fs::exists(canary)) << "by backup";
    if (run.exit_code() == 2 && app_.litepull({"list"}).status.code == 2) return false;  // nor does any other
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"check"},
                                               {"list"},
                                               {"status"},
                                               {"schedule", "--at", "02:00", "--print-cron"},
                                               {"schedule", "--at", "02:00"}}) {
      EXPECT_FALSE(app_.litepull(command).timed_out);
      EXPECT_FALSE(fs::exists(canary)) << "by " << command[0];
    }
    return true;
  }

  PullFixture app_;
};

// The lines of `config`, with the one of `key` replaced.
std::string with(const std::string& config, const std::string& key, const std::string& value) {
  std::string text = env_line(key, value);
  std::istringstream in(config);
  for (std::string line; std::getline(in, line);)
    if (!line.starts_with(key + "=")) text += line + "\n";
  return text;
}

TEST_P(Injection, NoValueOfAnyKeyIsRunHereOrOnTheServer) {
  const std::string canary = app_.scratch("canary");
  make_database(app_.in_storage("main.sqlite3"));
  const std::string good = read_file(app_.config_path());
  const auto stride = kBaits / static_cast<std::size_t>(rounds(2, kBaits));
  std::random_device random;
  int tried = 0, taken = 0;
  for (const std::string& key : keys()) {
    if (key == "NOTIFY_COMMAND") continue;
    const std::vector<std::string> all = baits(canary, good_value(key));
    for (std::size_t i = random() % stride; i < all.size() && !HasFailure(); i += stride | 1) {
      SCOPED_TRACE(key + "=" + all[i]);
      write_file(app_.config_path(), with(good, key, all[i]));
      ++tried;
      taken += runs_without(canary) ? 1 : 0;
    }
  }
  std::printf("  %d values, %d of which got further than to the file\n", tried, taken);
  EXPECT_GT(taken, 0);
  // Whatever chance has picked, one failure that names a value is told of.
  write_file(app_.config_path(), with(good, "REMOTE_BACKUP_DIR", "/nowhere/$(touch " + canary + ")"));
  EXPECT_TRUE(runs_without(canary));
  write_file(app_.config_path(), good);
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << "it was refused for another reason than its values\n" << run.words();
  EXPECT_TRUE(fs::exists(app_.scratch("notified"))) << "nothing of what was refused reached NOTIFY_COMMAND";
}

// Relative canaries, since a name holds no '/'. They would be made where the client or the login shell is.
TEST_P(Injection, NamesThatLookLikeCodeAreOnlyNames) {
  const std::string canary = "litepull-canary-" + std::to_string(::getpid());
  int number = 0;
  for (const std::string& bait :
       {"$(touch " + canary + ")", "`touch " + canary + "`", ";touch " + canary + ";", "|touch " + canary,
        "&& touch " + canary + " #", "\"; touch " + canary + "; \"", "${IFS}touch " + canary,
        "x\\\"$(touch " + canary + ")\\\""}) {
    SCOPED_TRACE(bait);
    app_.set("APP_NAME", "app" + std::to_string(++number));
    app_.move_storage(app_.scratch(std::to_string(number) + " " + bait));
    fs::create_directories(app_.storage());
    make_database(app_.in_storage(bait + ".sqlite3"));
    app_.set("DATABASES", "*.sqlite3");
    const BackupRun run = app_.backup({"--label", bait});
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.json["label"], bait);
    EXPECT_TRUE(fs::exists(run.file(bait + ".sqlite3"))) << run.words();
    for (const fs::path& place : {fs::current_path(), fs::path(std::getenv("HOME")), fs::path("/"),
                                  fs::path(app_.storage()), fs::path(app_.scratch("home"))}) {
      EXPECT_FALSE(fs::exists(place / canary)) << place;
      fs::remove(place / canary);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Transports, Injection, testing::Values(Over::kLocal, Over::kSsh),
                         [](const auto& over) {
                           return std::string(over.param == Over::kSsh ? "Ssh" : "Local");
                         });

}  // namespace
}  // namespace litepull::test
