// The command line as people and cron see it: exit codes, standard output and standard error, and --json.
// Nothing in a configuration is ever run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/pull_fixture.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProcessResult litepull(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), built_program("litepull"));
  return run(arguments);
}

// The commands that `litepull --help` names.
std::vector<std::string> commands() {
  std::vector<std::string> names;
  bool listed = false;
  for (const std::string& line : lines_of(litepull({"--help"}).out)) {
    if (listed && line.empty()) break;
    if (listed) names.push_back(line.substr(2, line.find(' ', 2) - 2));
    listed = listed || line == "Subcommands:";
  }
  return names;
}

void make_database(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
  database.exec("INSERT INTO t(body) VALUES ('one'), ('two'), ('three')");
}

class CommandLine : public testing::Test {
 protected:
  explicit CommandLine(Over over = Over::kLocal) : app_(over) {
    make_database(app_.in_storage("main.sqlite3"));
  }

  PullFixture app_;
};

// --- help and usage --------------------------------------------------------------------------------------

TEST_F(CommandLine, HelpOfEveryCommandShowsAnExample) {
  const std::vector<std::string> names = commands();
  for (const char* name : {"backup", "list", "cleanup", "pin", "unpin"})
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  for (const std::string& name : names) {
    const ProcessResult help = litepull({name, "--help"});
    EXPECT_EQ(help.status.code, 0) << name;
    EXPECT_EQ(help.err, "") << name;
    EXPECT_TRUE(contains(help.out, "Example:\n  litepull " + name + " ")) << help.out;
  }
  EXPECT_TRUE(contains(litepull({"--help"}).out, "Example:\n  litepull "));
}

TEST_F(CommandLine, VersionIsShown) {
  const ProcessResult version = litepull({"--version"});
  EXPECT_EQ(version.status.code, 0);
  EXPECT_TRUE(version.out.starts_with("litepull ")) << version.out;
}

TEST_F(CommandLine, WrongUsageIsExitCode2AndDoesNothing) {
  const std::string config = app_.config_path();
  const std::vector<std::vector<std::string>> wrong{
      {},
      {"--nonsense"},
      {"nonsense"},
      {"backup"},
      {"list"},
      {"cleanup"},
      {"backup", "--nonsense", config},
      {"backup", "--verify=sometimes", config},
      {"backup", "--verify", "", config},
      {"backup", "-j", "0", config},
      {"backup", "-j", "many", config},
      {"backup", "--label", "\x1b[31m", config},
      {"backup", "--label", std::string(65, 'x'), config},
      {"cleanup", "--verify=full", config},
      {"pin", config},
      {"unpin", config},
      {"diff", config, "1"},
      {"restore", config, "latest"},
      {"restore", config, "latest", "--to", "x", "--to-server"},
      {"restore", config, "latest", "--to", "x", "--yes", "app"},
      {"restore", config, "latest", "--to-server", "--force"},
  };
  for (const auto& arguments : wrong) {
    const ProcessResult result = litepull(arguments);
    const std::string shown = testing::PrintToString(arguments);
    EXPECT_EQ(result.status.code, 2) << shown;
    EXPECT_EQ(result.out, "") << shown;
    EXPECT_NE(result.err, "") << shown;
  }
  EXPECT_FALSE(fs::exists(app_.workspace()));
}

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; at += word.size()) ++count;
  return count;
}

TEST_F(CommandLine, AMissingConfigurationIsExitCode2AndNamedOnce) {
  const std::string missing = app_.scratch("missing.env");
  const std::map<std::string, std::vector<std::string>> words{{"pin", {"latest"}},
                                                              {"unpin", {"latest"}},
                                                              {"diff", {"1", "2"}},
                                                              {"restore", {"latest", "--to", "x"}},
                                                              {"schedule", {"--show"}}};
  for (const std::string& name : commands()) {
    std::vector<std::string> arguments{name, missing};
    if (words.contains(name)) arguments.insert(arguments.end(), words.at(name).begin(), words.at(name).end());
    const ProcessResult result = litepull(arguments);
    EXPECT_EQ(result.status.code, 2) << name;
    EXPECT_EQ(count_of(result.err, missing), 1) << result.err;
    if (name == "open" || name == "schedule") continue;  // these have no --json
    arguments.push_back("--json");
    const ProcessResult json = litepull(arguments);
    EXPECT_EQ(json.status.code, 2) << name;
    const nlohmann::json document = nlohmann::json::parse(json.out, nullptr, false);
    ASSERT_TRUE(document.is_object()) << name << ": " << json.out;
    EXPECT_EQ(document["exit_code"], 2);
    EXPECT_TRUE(contains(document["error"]["message"], missing)) << json.out;
  }
}

TEST_F(CommandLine, AMissingStorageDirectoryIsNamedWithTheKeyToMend) {
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 2) << run.words();
  EXPECT_TRUE(contains(run.process.err, app_.scratch("nowhere"))) << run.words();
  EXPECT_TRUE(contains(run.process.err, "REMOTE_BACKUP_DIR")) << run.words();
  EXPECT_TRUE(app_.snapshots().empty());
}

TEST_F(CommandLine, AStorageDirectoryWithoutDatabasesIsNoSuccess) {
  fs::remove(app_.in_storage("main.sqlite3"));
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 2) << run.words();
  EXPECT_TRUE(contains(run.process.err, "DATABASES")) << run.words();
  EXPECT_TRUE(app_.snapshots().empty());
  EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
}

// --- what is printed where -------------------------------------------------------------------------------

TEST_F(CommandLine, JsonIsOneDocumentWithTheKeysThatScriptsRelyOn) {
  const BackupRun run = app_.backup({"--label", "before deploy"});
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  ASSERT_TRUE(run.json.is_object()) << run.words();  // parse() refuses anything after the document
  for (const char* key : {"app", "snapshot", "label", "duration_s", "set_consistency", "skew_ms"})
    EXPECT_TRUE(run.json.contains(key)) << key;
  EXPECT_EQ(run.json["app"], "app");
  EXPECT_EQ(run.json["snapshot"], app_.snapshots().at(0));
  EXPECT_EQ(run.json["label"], "before deploy");
  EXPECT_EQ(run.json["set_consistency"], "barrier");
  EXPECT_GT(run.json["wire"]["received_bytes"], 0);
  EXPECT_GT(run.json["wire"]["sent_bytes"], 0);
  const nlohmann::json& database = run.database("main.sqlite3");
  for (const char* key :
       {"name", "bytes", "page_size", "pages", "changed_pages", "hold_s", "xxh128", "verified", "error"})
    EXPECT_TRUE(database.contains(key)) << key;
  EXPECT_EQ(database["verified"], "ok");
  EXPECT_EQ(database["bytes"], fs::file_size(run.file("main.sqlite3")));
  EXPECT_TRUE(database["error"].is_null());
  EXPECT_EQ(run.process.err, "");
}

TEST_F(CommandLine, EachVerifyModeIsRecordedAsWhatItWas) {
  for (const auto& [mode, verdict] :
       std::map<std::string, std::string>{{"full", "ok"}, {"quick", "ok"}, {"none", "skipped"}}) {
    const BackupRun run = app_.backup({"--verify=" + mode});
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(run.database("main.sqlite3")["verified"], verdict) << mode;
  }
}

TEST_F(CommandLine, CronGetsOneLineOfEachApp) {
  const ProcessResult result = app_.litepull({"backup"});
  EXPECT_EQ(result.status.code, 0);
  ASSERT_EQ(lines_of(result.out).size(), 1U) << result.out;
  EXPECT_TRUE(result.out.starts_with("app: ")) << result.out;
  EXPECT_TRUE(contains(result.out, fs::path(app_.snapshots().at(0)).filename())) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(CommandLine, QuietPrintsNothingOnSuccessAndTheReasonOnFailure) {
  const ProcessResult good = app_.litepull({"backup", "--quiet"});
  EXPECT_EQ(good.status.code, 0);
  EXPECT_EQ(good.out + good.err, "");
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  const ProcessResult bad = app_.litepull({"backup", "--quiet"});
  EXPECT_EQ(bad.status.code, 2);
  EXPECT_EQ(bad.out, "");
  EXPECT_TRUE(contains(bad.err, app_.scratch("nowhere"))) << bad.err;
}

TEST_F(CommandLine, TheLogFileIsAppendedTo) {
  const std::string log = app_.scratch("litepull.log");
  EXPECT_EQ(app_.litepull({"backup", "--quiet", "--log-file", log}).status.code, 0);
  const std::string first = read_file(log);
  EXPECT_TRUE(contains(first, app_.snapshots().at(0))) << first;
  EXPECT_EQ(app_.litepull({"backup", "--quiet", "--log-file", log}).status.code, 0);
  const std::string both = read_file(log);
  EXPECT_TRUE(both.starts_with(first) && both.size() > first.size()) << both;
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  EXPECT_EQ(app_.litepull({"backup", "--quiet", "--log-file", log}).status.code, 2);
  EXPECT_TRUE(contains(read_file(log).substr(both.size()), app_.scratch("nowhere")));
}

TEST_F(CommandLine, ALogFileThatCannotBeWrittenIsExitCode2) {
  const ProcessResult result = app_.litepull({"backup", "--log-file", app_.scratch("app.env") + "/x.log"});
  EXPECT_EQ(result.status.code, 2) << result.err;
  EXPECT_TRUE(contains(result.err, "--log-file")) << result.err;
  EXPECT_TRUE(app_.snapshots().empty());
}

TEST_F(CommandLine, ALogFileInADirectoryThatDoesNotExistStopsABackupBeforeItPulls) {
  const BackupRun run = app_.backup({"--log-file", app_.scratch("missing/run.log")});
  EXPECT_EQ(run.exit_code(), 2) << run.words();
  EXPECT_NE(run.process.err.find("its directory does not exist"), std::string::npos) << run.words();
  EXPECT_FALSE(fs::exists(app_.scratch("missing")));
  EXPECT_TRUE(app_.snapshots().empty());
}

TEST_F(CommandLine, SeveralConfigurationsGiveAListInTheirOrder) {
  PullFixture second(Over::kLocal), broken(Over::kLocal);
  make_database(second.in_storage("main.sqlite3"));
  second.set("APP_NAME", "second");
  broken.set("APP_NAME", "../x");
  const ProcessResult result = litepull(
      {"backup", "--json", "-j", "2", app_.config_path(), broken.config_path(), second.config_path()});
  EXPECT_EQ(result.status.code, 2) << result.err;
  const nlohmann::json list = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_TRUE(list.is_array()) << result.out;
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0]["app"], "app");
  EXPECT_EQ(list[0]["exit_code"], 0);
  EXPECT_EQ(list[1]["exit_code"], 2);
  EXPECT_TRUE(list[1]["snapshot"].is_null());
  EXPECT_EQ(list[2]["app"], "second");
  EXPECT_EQ(list[2]["exit_code"], 0);
  EXPECT_TRUE(fs::exists(second.workspace() + "/second"));
}

// --- list and cleanup ------------------------------------------------------------------------------------

TEST_F(CommandLine, ListShowsWhatIsThere) {
  EXPECT_EQ(app_.litepull({"list"}).status.code, 0) << "before the first backup";
  ASSERT_EQ(app_.backup({"--label", "before deploy"}).exit_code(), 0);
  const std::string name = fs::path(app_.snapshots().at(0)).filename();
  const ProcessResult text = app_.litepull({"list"});
  EXPECT_EQ(text.status.code, 0);
  for (const std::string& part : {name, std::string("ok"), std::string("before deploy")})
    EXPECT_TRUE(contains(text.out, part)) << text.out;
  const nlohmann::json json = nlohmann::json::parse(app_.litepull({"list", "--json"}).out, nullptr, false);
  ASSERT_EQ(json["snapshots"].size(), 1U);
  EXPECT_EQ(json["snapshots"][0]["name"], name);
  EXPECT_EQ(json["snapshots"][0]["path"], app_.snapshots().at(0));
  EXPECT_EQ(json["snapshots"][0]["verified"], "ok");
  EXPECT_EQ(json["snapshots"][0]["label"], "before deploy");
  EXPECT_EQ(json["snapshots"][0]["index"], 1);
  EXPECT_EQ(json["snapshots"][0]["pinned"], false);
  EXPECT_TRUE(json["snapshots"][0]["shared_bytes"].is_number_unsigned());
  EXPECT_TRUE(json["snapshots"][0]["verified_at"].is_string());
}

// --- pin -------------------------------------------------------------------------------------------------

class Pin : public CommandLine {
 protected:
  Pin() { EXPECT_EQ(app_.backup({"--label", "before deploy"}).exit_code(), 0); }

  ProcessResult command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, app_.config_path());
    return litepull(std::move(arguments));
  }
  nlohmann::json listed() {
    return nlohmann::json::parse(app_.litepull({"list", "--json"}).out, nullptr, false)["snapshots"][0];
  }
};

TEST_F(Pin, IsShownByListAndTakenBackByUnpin) {
  const ProcessResult pinned = command({"pin", "before deploy"});
  EXPECT_EQ(pinned.status.code, 0) << pinned.err;
  EXPECT_TRUE(contains(pinned.out, "is pinned")) << pinned.out;
  EXPECT_EQ(listed()["pinned"], true);
  EXPECT_EQ(listed()["verified"], "ok") << "nothing else has changed";
  EXPECT_TRUE(contains(app_.litepull({"list"}).out, "pinned"));
  EXPECT_EQ(command({"pin", "latest", "--json"}).status.code, 0) << "once more is no error";
  EXPECT_EQ(command({"unpin", "1"}).status.code, 0);
  EXPECT_EQ(listed()["pinned"], false);
}

TEST_F(Pin, KeepsASnapshotOfAnyAge) {
  const std::string newest = app_.snapshots().back(), old = app_.app_directory() + "/2020-01-01T020000+0100";
  nlohmann::json manifest = nlohmann::json::parse(read_file(newest + "/manifest.json"));
  manifest["snapshot"] = "2020-01-01T020000+0100";
  manifest["format"] = 1;  // which has no checksum
  manifest.erase("checksum");
  write_file(newest + "/manifest.json", manifest.dump(2));
  fs::rename(newest, old);
  ASSERT_EQ(command({"pin", "latest"}).status.code, 0);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  EXPECT_TRUE(contains(app_.litepull({"cleanup"}).out, "pinned"));
  EXPECT_TRUE(fs::exists(old));
  ASSERT_EQ(command({"unpin", fs::path(old).filename()}).status.code, 0);
  EXPECT_EQ(app_.litepull({"cleanup"}).status.code, 0);
  EXPECT_FALSE(fs::exists(old));
}

TEST_F(Pin, OfADirectoryOfTheOldScriptIsRefusedWithARemedy) {
  const std::string name = "2026-01-02T030405+0000", path = app_.app_directory() + "/" + name;
  fs::create_directory(path);
  fs::copy_file(app_.in_storage("main.sqlite3"), path + "/main.sqlite3");
  const std::string before = listing(path);
  const ProcessResult refused = command({"pin", name});
  EXPECT_EQ(refused.status.code, 1);
  EXPECT_TRUE(contains(refused.err, "old script")) << refused.err;
  EXPECT_TRUE(contains(refused.err, "move it out of")) << refused.err;
  EXPECT_EQ(listing(path), before);
}

TEST_F(Pin, OfNothingIsExitCode2) {
  EXPECT_EQ(command({"pin", "no-such"}).status.code, 2);
  fs::remove_all(app_.workspace());
  EXPECT_EQ(command({"pin", "latest"}).status.code, 2);
}

class Cleanup : public CommandLine {
 protected:
  Cleanup() {
    EXPECT_EQ(app_.backup().exit_code(), 0);
    newest_ = app_.snapshots().back();
    make_database(old_ + "/main.sqlite3");
    fs::create_directories(stranger_);
  }

  std::string newest_;
  const std::string old_ =
      made(app_.app_directory() + "/2020-01-01T020000+0100");  // as the old script left it
  const std::string stranger_ = app_.app_directory() + "/2020-01-02T020000+0100";  // empty: not ours

 private:
  static std::string made(const std::string& path) {
    fs::create_directories(path);
    return path;
  }
};

TEST_F(Cleanup, DryRunSaysWhatAndWhyAndChangesNothing) {
  const std::string before = listing(app_.workspace());
  const ProcessResult text = app_.litepull({"cleanup", "--dry-run"});
  EXPECT_EQ(text.status.code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "would remove")) << text.out;
  const ProcessResult result = app_.litepull({"cleanup", "--dry-run", "--json"});
  const nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
  EXPECT_EQ(json["dry_run"], true);
  std::map<std::string, bool> kept;
  for (const nlohmann::json& decision : json["decisions"]) {
    kept[app_.app_directory() + "/" + decision["name"].get<std::string>()] = decision["keep"];
    EXPECT_FALSE(decision["reason"].get<std::string>().empty());
  }
  EXPECT_EQ(kept, (std::map<std::string, bool>{{old_, false}, {newest_, true}})) << result.out;
  EXPECT_EQ(listing(app_.workspace()), before);
}

TEST_F(Cleanup, RemovesTheOldAndKeepsTheNewestAndStrangers) {
  const ProcessResult result = app_.litepull({"cleanup"});
  EXPECT_EQ(result.status.code, 0) << result.err;
  EXPECT_EQ(app_.snapshots(), (std::vector<std::string>{stranger_, newest_}));
  EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
}

// --- nothing in a configuration is run -------------------------------------------------------------------

// Not in single quotes: a shell would run these when it reads the file.
TEST_F(CommandLine, AConfigurationIsReadAndNeverRun) {
  const std::string canary = app_.scratch("canary");
  const std::string good = read_file(app_.config_path());
  for (const std::string& line :
       {"APP_NAME=$(touch " + canary + ")", "APP_NAME=\"$(touch " + canary + ")\"",
        "APP_NAME=`touch " + canary + "`", "APP_NAME=\"`touch " + canary + "`\"",
        "APP_NAME=app; touch " + canary, "touch " + canary, "APP_NAME=app && touch " + canary, ". " + canary,
        "export X=$(touch " + canary + ")", "APP_NAME=${X:-$(touch " + canary + ")}",
        "APP_NAME=$((touch " + canary + "))", "APP_NAME=<(touch " + canary + ")"}) {
    SCOPED_TRACE(line);
    write_file(app_.config_path(), good + line + "\n");
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 2) << run.words();
    const std::string where = app_.config_path() + ":" + std::to_string(lines_of(good).size() + 1);
    EXPECT_TRUE(contains(run.process.err, where)) << run.words();
    EXPECT_FALSE(fs::exists(canary));
  }
}

}  // namespace
}  // namespace litepull::test
