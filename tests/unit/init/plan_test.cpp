// What init puts into a configuration, and what it asks for or refuses.
#include "client/init/kamal_config.h"

#include <gtest/gtest.h>

#include "tests/unit/init/kamal_fixture.h"

namespace litepull {
namespace {

TEST_F(KamalConfig, EveryConfigurationThatIsMadeHasAnIdOfItsOwn) {
  const std::string id = config(kRails).app_id, other = config(kRails).app_id;
  EXPECT_EQ(id.size(), 32U);
  EXPECT_TRUE(is_app_id(id));
  EXPECT_NE(id, other);
}

TEST_F(KamalConfig, EveryLineOfTheFileHasAComment) {
  std::istringstream in(render_env(plan(kRails).env, ""));
  std::string before;
  for (std::string line; std::getline(in, line); before = line)
    if (!line.empty() && line[0] != '#') {
      EXPECT_TRUE(before.starts_with("# ")) << line;
    }
}

TEST_F(KamalConfig, TheFirstKeyThatIsThereIsTaken) {
  const std::string key = home_ / ".ssh/id_app";
  EXPECT_EQ(config(with_ssh("ssh: {keys: [ '~/.ssh/gone', '~/.ssh/id_app' ]}")).ssh_key, key);
  EXPECT_EQ(config(with_ssh("ssh: {keys: '" + key + "', keys_only: true}")).ssh_key, key);
  const InitPlan gone = plan(with_ssh("ssh: {keys: ['~/.ssh/gone']}"));
  EXPECT_EQ(gone.env.key, "");
  ASSERT_EQ(gone.notes.size(), 1U);
  EXPECT_TRUE(contains(gone.notes[0], "~/.ssh/gone")) << gone.notes[0];
}

TEST_F(KamalConfig, TheWorkspaceIsTheOneAroundTheProjectOrBesideIt) {
  const auto plan_in = [&](const std::string& project, const InitFlags& flags = {}) {
    return plan_init(read(kRails), flags, {"config/deploy.yml", project, {}, {}, {}, false, {}}, Ask(),
                     environment_);
  };
  EXPECT_EQ(plan_in("/home/ada/Projects/billing-workspace/billing").env.workspace_dir,
            "/home/ada/Projects/billing-workspace");
  EXPECT_EQ(plan_in("/home/ada/Projects/billing-workspace/apps/web").env.workspace_dir,
            "/home/ada/Projects/billing-workspace");
  EXPECT_EQ(plan_in("/home/ada/src/billing").env.workspace_dir, "/home/ada/src/billing-workspace");
  EXPECT_EQ(plan_in("/home/ada/other-workspace/billing").env.workspace_dir,
            "/home/ada/other-workspace/billing-workspace");
  InitFlags flags;
  flags.workspace = "/data/w";
  EXPECT_EQ(plan_in("/home/ada/Projects/billing-workspace/billing", flags).env.workspace_dir, "/data/w");
  flags.workspace = "";
  flags.destination = "staging";
  EXPECT_EQ(plan_in("/home/ada/Projects/billing-workspace/billing", flags).env.workspace_dir,
            "/home/ada/Projects/billing-workspace")
      << "one for all destinations";
}

TEST_F(KamalConfig, PathsBelowHomeAndTheWorkspaceAreWrittenAsPeopleWriteThem) {
  ProjectEnv env = plan(kRails).env;
  env.workspace_dir = "/home/ada/Projects/billing-workspace";
  const std::string text = render_env(env, "/home/ada");
  EXPECT_TRUE(contains(text, "\nWORKSPACE_DIR=~/Projects/billing-workspace\n")) << text;
  EXPECT_TRUE(contains(text, "\nLOCAL_BACKUP_ROOT=\"$WORKSPACE_DIR/db_backups\"\n")) << text;
}

TEST_F(KamalConfig, AllThatIsMissingIsSaidAtOnce) {
  const Error error = refusal_of("image: x\n");
  for (const char* flag : {"--app", "--host", "--storage"})
    EXPECT_TRUE(contains(error.hint(), flag)) << error.hint();
  EXPECT_TRUE(contains(error.message(), "'web'")) << error.message();
  EXPECT_TRUE(contains(error.message(), "/rails/storage")) << error.message();
}

TEST_F(KamalConfig, AVolumeElsewhereIsNamedButNotTaken) {
  for (const char* mount : {"/app/storage", "/rails/storage2", "/rails/storage/db", "/data"}) {
    const Error error = refusal_of(with_volumes("volumes: ['data:" + std::string(mount) + "']"));
    EXPECT_TRUE(contains(error.message(), "data:" + std::string(mount))) << error.message();
    EXPECT_TRUE(contains(error.hint(), "--storage")) << error.hint();
  }
  EXPECT_TRUE(contains(refusal_of(with_volumes("volumes: ['/rails/storage']")).hint(), "--storage"));
}

TEST_F(KamalConfig, FlagsCountBeforeTheFile) {
  const std::string nothing = "image: x\n";
  InitFlags flags{.app = "shop",
                  .host = "h.example.com",
                  .user = "ada",
                  .port = "2200",
                  .key = home_ / ".ssh/id_app",
                  .storage = "shop_data",
                  .backup_root = "~/backups"};
  for (const std::string& text : {nothing, std::string(kRails)}) {
    const Config c = config(text, flags);
    EXPECT_EQ(c.app_name, "shop");
    EXPECT_EQ(c.server_host, "h.example.com");
    EXPECT_EQ(c.server_user, "ada");
    EXPECT_EQ(c.server_port, 2200);
    EXPECT_EQ(c.remote_backup_dir, "/var/lib/docker/volumes/shop_data/_data");
    EXPECT_EQ(c.ssh_key, home_ / ".ssh/id_app");
    EXPECT_EQ(c.local_backup_root, home_ / "backups");
  }
}

TEST_F(KamalConfig, ValuesThatTheParserWouldRefuseAreNotWritten) {
  EXPECT_TRUE(contains(refusal_of(kRails, {.host = "a b"}).message(), "--host: SERVER_HOST 'a b' must be"));
  EXPECT_TRUE(contains(refusal_of(kRails, {.port = "0"}).message(), "--port: SERVER_PORT"));
  EXPECT_TRUE(contains(refusal_of(kRails, {.app = "../x"}).message(), "--app: APP_NAME"));
  EXPECT_TRUE(contains(refusal_of(kRails, {.user = "-l"}).message(), "--user: SERVER_USER"));
  EXPECT_TRUE(contains(refusal_of(kRails, {.key = "/nowhere/key"}).message(), "--key: SSH_KEY"));
  const Error error = refusal_of(with_servers("servers: ['$(reboot)']"));
  EXPECT_TRUE(contains(error.message(), "SERVER_HOST '$(reboot)' must be")) << error.message();
  EXPECT_TRUE(contains(error.hint(), "--host"));
}

TEST_F(KamalConfig, AnAnswerThatDoesNotDoIsAskedForAgain) {
  std::vector<std::string> answers{"a b", "h.example.com", "shop_data"};
  std::vector<Question> asked;
  const Ask ask = [&](const Question& question) {
    asked.push_back(question);
    const std::string answer = answers.at(0);
    answers.erase(answers.begin());
    return answer;
  };
  const InitPlan made =
      plan_init(read("service: shop\n"), {}, {"config/deploy.yml", "/srv/project", {}, {}, {}, false, {}},
                ask, environment_);
  EXPECT_EQ(made.env.host, "h.example.com");
  EXPECT_EQ(made.env.storage, "/var/lib/docker/volumes/shop_data/_data");
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_TRUE(contains(asked[1].why, "SERVER_HOST 'a b' must be")) << asked[1].why;
}

// --- the text that is written ----------------------------------------------------------------------------

TEST_F(KamalConfig, WhateverAPathHoldsIsReadBack) {
  const char* paths[] = {"/a b", "/a'b", "/a\"b'c", "/$HOME/x", "/`id`'", "/a\\b'",
                         "/a#b", "/a;b", "/~/x",    "/a:~b",    "/é",     "/a=b"};
  for (const std::string path : paths) {
    ProjectEnv env = plan(kRails).env;
    env.workspace_dir = env.storage = env.backup_root = path;
    for (const std::string& home : {std::string(), std::string("/a")}) {
      Environment environment{{"HOME", home.empty() ? "/root" : home}};
      const Config c = parse_config(render_env(env, home), "x.env", environment);
      EXPECT_EQ(c.workspace_dir, path);
      EXPECT_EQ(c.local_backup_root, path);
      EXPECT_EQ(c.remote_backup_dir, path);
    }
  }
}

TEST_F(KamalConfig, PathsBelowTheHomeDirectoryMoveWithIt) {
  ProjectEnv env = plan(kRails).env;
  env.workspace_dir = "/home/ada/it's $5";
  env.backup_root = "~/backups";
  const std::string text = render_env(env, "/home/ada");
  const Config c = parse_config(text, "x.env", {{"HOME", "/home/bob"}});
  EXPECT_EQ(c.workspace_dir, "/home/bob/it's $5");
  EXPECT_EQ(c.local_backup_root, "/home/bob/backups");
}

}  // namespace
}  // namespace litepull
