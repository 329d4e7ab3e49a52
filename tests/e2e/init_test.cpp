// `litepull init` as a user runs it, in a directory like a Rails app's: with flags, and at a terminal.
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/process.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr const char* kWhole =
    "service: billing\nservers: {web: [203.0.113.10]}\nvolumes: ['billing_storage:/rails/storage']\n";
constexpr const char* kPlaceholder = "#!/bin/sh\nexit 0\n";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int mode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 07777) : -1;
}

struct TerminalRun {
  int code = -1;
  std::string words;  // what is seen on the terminal
};

class Init : public testing::Test {
 protected:
  Init() { write_file(share_ / "kamal/pre-deploy", kPlaceholder); }

  void write_kamal(const std::string& text, const std::string& name = "deploy.yml") {
    write_file(app_ / ("config/" + name), text);
  }

  std::vector<std::string> argv(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all{
        "sh", "-c", "cd \"$0\" && exec \"$@\"", app_.path().string(), built_program("litepull"), "init"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  ProcessResult init(const std::vector<std::string>& arguments = {}) const {
    return run(argv(arguments), {.env = {{"LITEPULL_SHARE", share_.path().string()}}});
  }

  // With `typed` at the keyboard of a terminal of its own.
  TerminalRun init_at_terminal(const std::string& typed,
                               const std::vector<std::string>& arguments = {}) const {
    const std::vector<std::string> words = argv(arguments);
    std::vector<char*> pointers;
    for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
      ::setenv("LITEPULL_SHARE", share_.path().c_str(), 1);
      ::execvp(pointers[0], pointers.data());
      ::_exit(127);
    }
    const Fd closes(terminal);
    write_all(terminal, typed.data(), typed.size(), "the terminal");
    TerminalRun run;
    char buffer[512];
    for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;)  // EIO when the child is gone
      run.words.append(buffer, static_cast<std::size_t>(got));
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) run.code = WEXITSTATUS(status);
    return run;
  }

  std::string env_file(const std::string& app = "billing") const {
    return app_ / ("config/projects/" + app + ".env");
  }

  const TempDir app_, share_;
};

TEST_F(Init, WritesAConfigurationThatOtherCommandsRead) {
  write_kamal(kWhole);
  const ProcessResult result = init();
  EXPECT_EQ(result.status.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(result.out.ends_with("Next:\n  litepull check config/projects/billing.env\n")) << result.out;
  EXPECT_EQ(mode_of(env_file()), 0600);
  EXPECT_TRUE(contains(read_file(env_file()), "\nSERVER_HOST=203.0.113.10\n")) << read_file(env_file());
  const ProcessResult list = run({built_program("litepull"), "list", "--json", env_file()});
  EXPECT_EQ(list.status.code, 0) << list.err;
  EXPECT_EQ(list.err, "");  // no warning either
  EXPECT_EQ(nlohmann::json::parse(list.out)["app"], "billing");
  EXPECT_FALSE(fs::exists(app_ / ".kamal")) << "no hook without being asked for";
}

TEST_F(Init, PatternsAreThoseOfTheAppsOwnDatabases) {
  write_kamal(kWhole);
  write_kamal(
      "production:\n  primary: {adapter: sqlite3, database: storage/db/production.sqlite3}\n"
      "  queue: {adapter: sqlite3, database: 'storage/tenants/%{tenant}/queue.db'}\n",
      "database.yml");
  const ProcessResult result = init();
  ASSERT_EQ(result.status.code, 0) << result.err;
  EXPECT_TRUE(contains(read_file(env_file()), "\nDATABASES='db/*.sqlite3 tenants/*/*.db'\n"));
  EXPECT_FALSE(contains(result.out, "note:")) << result.out;
}

TEST_F(Init, AnUnreadableDatabaseYmlIsNoObstacle) {
  write_kamal(kWhole);
  write_kamal("production: [\n", "database.yml");
  const ProcessResult result = init();
  ASSERT_EQ(result.status.code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "note: config/database.yml:")) << result.out;
  EXPECT_TRUE(contains(read_file(env_file()), "\nDATABASES='*.sqlite3'\n"));
}

TEST_F(Init, JsonNamesWhatWasWritten) {
  write_kamal(kWhole);
  const ProcessResult result = init({"--json", "--hook"});
  const nlohmann::json document = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_TRUE(document.is_object()) << result.out;
  EXPECT_EQ(document["app"], "billing");
  EXPECT_EQ(document["exit_code"], 0);
  EXPECT_EQ(document["config"], "config/projects/billing.env");
  EXPECT_EQ(document["hook"], ".kamal/hooks/pre-deploy");
  EXPECT_EQ(document["next"], "litepull check config/projects/billing.env");
}

TEST_F(Init, NeverOverwrites) {
  write_kamal(kWhole);
  ASSERT_EQ(init().status.code, 0);
  const std::string before = listing(app_.path().string());
  write_file(env_file(), "APP_NAME=mine\n");
  const ProcessResult again = init();
  EXPECT_EQ(again.status.code, 2);
  EXPECT_EQ(again.out, "");
  EXPECT_TRUE(contains(again.err, "config/projects/billing.env is there already")) << again.err;
  EXPECT_TRUE(contains(again.err, "litepull check config/projects/billing.env")) << again.err;
  EXPECT_EQ(read_file(env_file()), "APP_NAME=mine\n");
  EXPECT_FALSE(fs::exists(app_ / ".kamal"));
  EXPECT_EQ(init({"--app", "other"}).status.code, 0);
  fs::remove(env_file());
  fs::create_symlink(app_ / "nowhere", env_file());
  EXPECT_EQ(init({"--hook"}).status.code, 2) << "a link that leads nowhere is in the way, too";
  EXPECT_FALSE(fs::exists(app_ / "nowhere"));
}

TEST_F(Init, NothingIsWrittenWhenSomethingIsMissing) {
  write_kamal("service: billing\nservers: [<%= ENV[\"HOST\"] %>]\n");
  const std::string before = listing(app_.path().string());
  const ProcessResult result = init();
  EXPECT_EQ(result.status.code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(contains(result.err, "config/deploy.yml:2: only Ruby knows what <%= ENV[\"HOST\"] %> gives"))
      << result.err;
  EXPECT_TRUE(contains(result.err, "give --host HOST --storage ")) << result.err;
  EXPECT_EQ(listing(app_.path().string()), before);
  EXPECT_EQ(init({"--host", "h.example.com", "--storage", "/mnt/storage"}).status.code, 0);
  EXPECT_TRUE(contains(read_file(env_file()), "REMOTE_BACKUP_DIR=/mnt/storage\n"));
}

TEST_F(Init, NoKamalFileIsExitCode2WithTheRemedy) {
  const ProcessResult result = init();
  EXPECT_EQ(result.status.code, 2);
  EXPECT_TRUE(contains(result.err, "config/deploy.yml: there is no such file")) << result.err;
  EXPECT_TRUE(contains(result.err, "--from")) << result.err;
  EXPECT_EQ(init({"--from", "config"}).status.code, 2);
}

TEST_F(Init, ADestinationsFileIsMergedAndOneThatIsNotThereIsNamed) {
  write_kamal("service: billing\nvolumes: ['billing_storage:/rails/storage']\n");
  write_kamal("servers: [10.0.0.7]\n", "deploy.staging.yml");
  const ProcessResult none = init();
  EXPECT_EQ(none.status.code, 2);
  EXPECT_TRUE(contains(none.err, "--destination staging")) << none.err;
  const ProcessResult wrong = init({"-d", "production"});
  EXPECT_EQ(wrong.status.code, 2);
  EXPECT_TRUE(contains(wrong.err, "config/deploy.production.yml: there is no such file")) << wrong.err;
  EXPECT_TRUE(contains(wrong.err, "--destination staging")) << wrong.err;
  EXPECT_EQ(init({"-d", "staging"}).status.code, 0);
  EXPECT_TRUE(contains(read_file(env_file("billing-staging")), "SERVER_HOST=10.0.0.7\n"));
}

TEST_F(Init, AFileElsewhereIsOfTheProjectThatItIsIn) {
  write_kamal(kWhole);
  const ProcessResult result = run({built_program("litepull"), "init", "--from", app_ / "config/deploy.yml"});
  EXPECT_EQ(result.status.code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "litepull check " + env_file())) << result.out;
  EXPECT_TRUE(contains(read_file(env_file()), "-workspace\n"));
}

// --- the workspace, and git ------------------------------------------------------------------------------

class InitInWorkspace : public Init {
 protected:
  std::string project() const { return app_ / "billing-workspace/billing"; }

  ProcessResult run_in(const std::string& directory, std::vector<std::string> argv) const {
    argv.insert(argv.begin(), {"sh", "-c", "cd \"$0\" && exec \"$@\"", directory});
    return run(argv, {.env = {{"LITEPULL_SHARE", share_.path().string()}, {"HOME", app_.path().string()}}});
  }

  ProcessResult init_project(const std::vector<std::string>& arguments = {}) const {
    write_file(project() + "/config/deploy.yml", kWhole);
    std::vector<std::string> argv{built_program("litepull"), "init"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_in(project(), argv);
  }

  std::string project_env() const { return read_file(project() + "/config/projects/billing.env"); }

  // What git would take on `git add .`, a line each; it is an empty repository.
  std::string untracked() const {
    return run_in(project(), {"git", "status", "--porcelain", "--untracked-files=all"}).out;
  }
};

TEST_F(InitInWorkspace, SnapshotsGoBesideTheCodeAndItIsSaidWhy) {
  const ProcessResult result = init_project();
  ASSERT_EQ(result.status.code, 0) << result.err;
  EXPECT_TRUE(contains(project_env(), "\nWORKSPACE_DIR=~/billing-workspace\n")) << project_env();
  EXPECT_TRUE(contains(project_env(), "\nLOCAL_BACKUP_ROOT=\"$WORKSPACE_DIR/db_backups\"\n"))
      << project_env();
  EXPECT_TRUE(contains(result.out, "billing-workspace/db_backups/billing (it holds the project)"))
      << result.out;
  EXPECT_FALSE(fs::exists(project() + "/config/projects/.gitignore")) << "there is no git here";
}

TEST_F(InitInWorkspace, AnotherIsTakenWhenItIsNamed) {
  const ProcessResult result = init_project({"--workspace", "elsewhere", "--json"});
  ASSERT_EQ(result.status.code, 0) << result.err;
  const nlohmann::json document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document["workspace"], project() + "/elsewhere");
  EXPECT_TRUE(contains(project_env(), "\nWORKSPACE_DIR=~/billing-workspace/billing/elsewhere\n"))
      << project_env();
}

TEST_F(InitInWorkspace, ConfigurationsAndSnapshotsStayOutOfGit) {
  fs::create_directories(project());
  if (run_in(project(), {"git", "init", "-q"}).status.code != 0) GTEST_SKIP() << "git is not installed";
  ASSERT_EQ(init_project({"--workspace", project()}).status.code, 0);
  EXPECT_EQ(read_file(project() + "/config/projects/.gitignore").ends_with("\n*.env\n"), true);
  const std::string storage = app_ / "storage";
  fs::create_directories(storage);
  ASSERT_EQ(run({"sqlite3", storage + "/production.sqlite3", "CREATE TABLE t(a)"}).status.code, 0);
  const std::string config = project() + "/config/projects/local.env";
  write_file(config, "APP_NAME=local\nTRANSPORT=local\nREMOTE_BACKUP_DIR=" + storage +
                         "\nLOCAL_BACKUP_ROOT=" + project() + "/db_backups\n");
  fs::permissions(config, fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_EQ(run_in(project(), {built_program("litepull"), "backup", config}).status.code, 0);
  EXPECT_EQ(untracked(), "?? config/deploy.yml\n?? config/projects/.gitignore\n");
  EXPECT_TRUE(fs::exists(project() + "/db_backups/.gitignore"));

  const std::string check = run_in(project(), {built_program("litepull"), "check", config}).out;
  EXPECT_FALSE(contains(check, "git")) << check;
  ASSERT_EQ(run_in(project(), {"git", "add", "-f", config, "db_backups"}).status.code, 0);
  const std::string tracked = run_in(project(), {built_program("litepull"), "check", config}).out;
  EXPECT_TRUE(contains(tracked, "local.env is tracked by git")) << tracked;
  EXPECT_TRUE(contains(tracked, " rm -r --cached -- " + project() + "/db_backups/local")) << tracked;
}

TEST_F(InitInWorkspace, AGitignoreThatIsThereIsNotChanged) {
  write_file(project() + "/.git", "gitdir: elsewhere\n");
  write_file(project() + "/config/projects/.gitignore", "mine\n");
  ASSERT_EQ(init_project().status.code, 0);
  EXPECT_EQ(read_file(project() + "/config/projects/.gitignore"), "mine\n");
}

// --- Kamal's own answer ----------------------------------------------------------------------------------

// What Kamal 2 prints, with secrets wherever there may be some.
constexpr const char* kAnswer = R"(---
:roles:
- web
:hosts:
- 203.0.113.10
- 203.0.113.11
:primary_host: 203.0.113.10
:version: 8f3a2c
:repository: ada/billing
:absolute_image: ada/billing:8f3a2c
:service_with_version: billing-8f3a2c
:volume_args:
- "--volume"
- billing_data:/rails/storage
:ssh_options:
  :user: deploy
  :port: 2222
  :proxy: !ruby/object:Net::SSH::Proxy::Jump
    command_line_template:
    jump_proxies: root@bastion.example.com
  :keepalive: true
  :key_data:
  - "-----BEGIN OPENSSH PRIVATE KEY----- TOPSECRET1"
  :log_level: :fatal
:builder:
  secrets: [TOPSECRET2]
:accessories:
  db: {env: {clear: {PASSWORD: TOPSECRET3}}}
:logging:
- "--log-opt"
- max-size="10m"
)";

constexpr const char* kErb =
    "service: <%= name %>\nservers: <%= hosts %>\nssh: {user: <%= user %>, port: <%= port %>, proxy: <%= "
    "jump %>}\n"
    "volumes: [<%= volume %>]\n";

class InitByKamal : public Init {
 protected:
  // In the place of Kamal: prints `answer` and ends with `status`; what it was called with is in `called`.
  void install(const std::string& answer, int status = 0) {
    write_kamal(kErb);
    write_file(app_ / "answer", answer);
    write_file(app_ / "bin/kamal", "#!/bin/sh\necho \"$@\" >called\necho TOPSECRET4 >&2\ncat answer\nexit " +
                                       std::to_string(status) + "\n");
    fs::permissions(app_ / "bin/kamal", fs::perms::owner_all);
  }
};

TEST_F(InitByKamal, WhatStandsInErbIsAskedForOnlyWhenToldTo) {
  install(kAnswer);
  const ProcessResult alone = init();
  EXPECT_EQ(alone.status.code, 2);
  EXPECT_TRUE(contains(alone.err, "litepull init --kamal")) << alone.err;
  EXPECT_FALSE(fs::exists(app_ / "called"));

  const ProcessResult asked = init({"--kamal"});
  ASSERT_EQ(asked.status.code, 0) << asked.err;
  const std::string env = read_file(env_file());
  for (const char* line : {"\nAPP_NAME=billing\n", "\nSERVER_HOST=203.0.113.10\n", "\nSERVER_USER=deploy\n",
                           "\nSERVER_PORT=2222\n", "\nSSH_PROXY=root@bastion.example.com\n",
                           "\nREMOTE_BACKUP_DIR=/var/lib/docker/volumes/billing_data/_data\n"})
    EXPECT_TRUE(contains(env, line)) << line << env;
  EXPECT_TRUE(contains(asked.out, "203.0.113.11")) << asked.out;
  EXPECT_TRUE(contains(read_file(app_ / "called"), "config -c ")) << read_file(app_ / "called");
}

TEST_F(InitByKamal, ADestinationIsPassedOn) {
  install(kAnswer);
  write_kamal("service: billing\n", "deploy.staging.yml");
  ASSERT_EQ(init({"--kamal", "-d", "staging"}).status.code, 0);
  EXPECT_TRUE(contains(read_file(app_ / "called"), "-d staging")) << read_file(app_ / "called");
}

TEST_F(InitByKamal, NoSecretIsWrittenOrShownWhateverHappens) {
  const std::pair<std::string, int> cases[] = {
      {kAnswer, 0},      {kAnswer, 1}, {std::string(kAnswer) + "bad: [TOPSECRET5\n", 0},
      {"TOPSECRET6", 0}, {"", 0},      {"a: !x TOPSECRET7\n b: TOPSECRET8", 0}};
  for (const auto& [answer, status] : cases) {
    install(answer, status);
    fs::remove(env_file());
    const ProcessResult result = init({"--kamal"});
    EXPECT_EQ(contains(result.out + result.err, "TOPSECRET"), false) << result.out << result.err;
    fs::remove(app_ / "answer");
    fs::remove(app_ / "bin/kamal");
    for (const auto& entry : fs::recursive_directory_iterator(app_.path()))
      EXPECT_FALSE(entry.is_regular_file() && contains(read_file(entry.path()), "TOPSECRET")) << entry.path();
    EXPECT_EQ(contains(result.err, "kamal config failed with status 1"), status != 0) << result.err;
  }
}

TEST_F(InitByKamal, CtrlCEndsKamalTooAndNothingIsWritten) {
  install("");
  write_file(app_ / "bin/kamal", "#!/bin/sh\necho $$ >pid\nexec sleep 100\n");
  fs::permissions(app_ / "bin/kamal", fs::perms::owner_all);
  Child child(argv({"--kamal"}));
  ASSERT_TRUE(eventually([&] { return fs::exists(app_ / "pid") && !read_file(app_ / "pid").empty(); }));
  const pid_t kamal = std::stoi(read_file(app_ / "pid"));
  child.kill(SIGINT);
  const auto status = child.wait(Milliseconds(10'000));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1);
  EXPECT_TRUE(eventually([&] { return ::kill(kamal, 0) != 0; })) << "kamal goes on";
  EXPECT_FALSE(fs::exists(env_file()));
}

TEST_F(InitByKamal, AMissingKamalIsNamed) {
  write_kamal(kErb);
  const ProcessResult result = init({"--kamal"});
  EXPECT_EQ(result.status.code, 2);
  EXPECT_TRUE(contains(result.err, "kamal is not installed")) << result.err;
}

// --- Kamal's hook ----------------------------------------------------------------------------------------

TEST_F(Init, TheHookIsInstalledAndNeverOverwritten) {
  write_kamal(kWhole);
  EXPECT_EQ(init({"--hook"}).status.code, 0);
  const std::string hook = app_ / ".kamal/hooks/pre-deploy";
  EXPECT_EQ(read_file(hook), kPlaceholder);
  EXPECT_EQ(mode_of(hook), 0755);
  write_file(hook, "mine");
  const ProcessResult again = init({"--hook", "--app", "other"});
  EXPECT_EQ(again.status.code, 2);
  EXPECT_TRUE(contains(again.err, ".kamal/hooks/pre-deploy is there already")) << again.err;
  EXPECT_EQ(read_file(hook), "mine");
  EXPECT_FALSE(fs::exists(env_file("other")));
}

TEST_F(Init, TheHookIsInstalledLaterAndTheConfigurationKept) {
  write_kamal(kWhole);
  ASSERT_EQ(init().status.code, 0);
  write_file(env_file(), "APP_NAME=mine\n");
  const ProcessResult later = init({"--hook"});
  EXPECT_EQ(later.status.code, 0) << later.err;
  EXPECT_TRUE(contains(later.out, "billing: installed .kamal/hooks/pre-deploy\n")) << later.out;
  EXPECT_TRUE(contains(later.out, "config/projects/billing.env is there already, and is kept")) << later.out;
  EXPECT_EQ(read_file(env_file()), "APP_NAME=mine\n");
  EXPECT_EQ(read_file(app_ / ".kamal/hooks/pre-deploy"), kPlaceholder);
}

TEST_F(Init, TheHookGoesWhereKamalLooksForIt) {
  write_kamal(std::string(kWhole) + "hooks_path: bin/hooks\n");
  EXPECT_EQ(init({"--hook"}).status.code, 0);
  EXPECT_EQ(read_file(app_ / "bin/hooks/pre-deploy"), kPlaceholder);
}

TEST_F(Init, AMissingHookFileIsNamedBeforeAnythingIsWritten) {
  write_kamal(kWhole);
  fs::remove(share_ / "kamal/pre-deploy");
  const ProcessResult result = init({"--hook"});
  EXPECT_EQ(result.status.code, 1);
  EXPECT_TRUE(contains(result.err, share_ / "kamal/pre-deploy")) << result.err;
  EXPECT_TRUE(contains(result.err, "LITEPULL_SHARE")) << result.err;
  EXPECT_FALSE(fs::exists(env_file()));
}

// --- at a terminal ---------------------------------------------------------------------------------------

TEST_F(Init, WhatIsMissingIsAskedForAtATerminal) {
  write_kamal("service: billing\nservers: [<%= ENV[\"HOST\"] %>]\nssh: {user: <%= u %>}\n");
  const TerminalRun run = init_at_terminal("not a host\nh.example.com\n\nbilling_storage\ny\n");
  EXPECT_EQ(run.code, 0) << run.words;
  for (const char* part : {"only Ruby knows what <%= ENV[\"HOST\"] %> gives",
                           "SERVER_HOST 'not a host' must be", "[root]", "Next:"})
    EXPECT_TRUE(contains(run.words, part)) << run.words;
  const std::string text = read_file(env_file());
  for (const char* line : {"SERVER_HOST=h.example.com\n", "SERVER_USER=root\n",
                           "REMOTE_BACKUP_DIR=/var/lib/docker/volumes/billing_storage/_data\n"})
    EXPECT_TRUE(contains(text, line)) << text;
  EXPECT_EQ(read_file(app_ / ".kamal/hooks/pre-deploy"), kPlaceholder);
}

TEST_F(Init, WithoutAnAnswerNothingIsWritten) {
  write_kamal("service: billing\nservers: [10.0.0.1]\n");
  const std::string before = listing(app_.path().string());
  const TerminalRun run = init_at_terminal("\x04");
  EXPECT_EQ(run.code, 2) << run.words;
  EXPECT_TRUE(contains(run.words, "nothing was written")) << run.words;
  EXPECT_EQ(listing(app_.path().string()), before);
}

TEST_F(Init, TheHookIsOfferedAndCanBeDeclined) {
  write_kamal(kWhole);
  const TerminalRun run = init_at_terminal("n\n");
  EXPECT_EQ(run.code, 0) << run.words;
  EXPECT_TRUE(contains(run.words, ".kamal/hooks/pre-deploy? [y/N]")) << run.words;
  EXPECT_TRUE(fs::exists(env_file()));
  EXPECT_FALSE(fs::exists(app_ / ".kamal"));
}

}  // namespace
}  // namespace litepull::test
