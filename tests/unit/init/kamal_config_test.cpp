// Every form that Kamal's configuration can give hosts, roles, ssh and volumes in, and the configuration that
// init makes of it: each is read back by the parser that backup uses.
#include "client/init/kamal_config.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/init/plan.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

using Keys = std::map<std::string, std::string>;

// As `rails new` writes it for an app on SQLite: a list of hosts for the role web, a named volume.
constexpr const char* kRails = R"(# Name of the app.
service: billing
image: ada/billing

servers:
  web:
    - 203.0.113.10
  # job:
  #   hosts:
  #     - 203.0.113.10
  #   cmd: bin/jobs

proxy:
  ssl: true
  host: billing.example.com

registry:
  username: ada
  password:
    - KAMAL_REGISTRY_PASSWORD

env:
  secret:
    - RAILS_MASTER_KEY
  clear:
    SOLID_QUEUE_IN_PUMA: true

aliases:
  console: app exec --interactive --reuse "bin/rails console"
  logs: app logs -f

volumes:
  - "billing_storage:/rails/storage"

asset_path: /rails/public/assets

builder:
  arch: amd64
  # args:
  #   RUBY_VERSION: <%= ENV["RBENV_VERSION"] || "#{RUBY_VERSION}" %>
)";

constexpr const char* kService = "service: billing\n";
constexpr const char* kServers = "servers: [203.0.113.10]\n";
constexpr const char* kVolumes = "volumes: ['billing_storage:/rails/storage']\n";
constexpr const char* kVolumeDirectory = "/var/lib/docker/volumes/billing_storage/_data";

std::string with_servers(const std::string& servers) {
  return std::string(kService) + kVolumes + servers;
}
std::string with_volumes(const std::string& volumes) {
  return std::string(kService) + kServers + volumes;
}
std::string with_ssh(const std::string& ssh) {
  return std::string(kService) + kServers + kVolumes + ssh;
}

class KamalConfig : public testing::Test {
 protected:
  KamalConfig() : environment_{{"HOME", home_.path().string()}} {
    test::write_file(home_ / ".ssh/id_app", "key");
  }

  KamalApp read(const std::string& text, const std::string& over = "") const {
    const std::optional<KamalText> second =
        over.empty() ? std::nullopt : std::optional(KamalText{"config/deploy.mars.yml", over});
    return read_kamal({"config/deploy.yml", text}, second);
  }

  InitPlan plan(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    return plan_init(read(text, over), flags, {"config/deploy.yml", "/srv/project", {}, {}, {}, false, {}},
                     Ask(), environment_);
  }

  // What the configuration that init writes says, read back.
  Config config(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    return parse_config(render_env(plan(text, flags, over).env, environment_.at("HOME")), "billing.env",
                        environment_);
  }

  std::string login(const std::string& text) const {
    const Config c = config(text);
    return c.server_user + "@" + c.server_host + " " + std::to_string(c.server_port);
  }

  Error refusal_of(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    try {
      plan(text, flags, over);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::kFailed, "it was accepted");
  }

  const test::TempDir home_;
  const Environment environment_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(KamalConfig, EveryConfigurationThatIsMadeHasAnIdOfItsOwn) {
  const std::string id = config(kRails).app_id, other = config(kRails).app_id;
  EXPECT_EQ(id.size(), 32U);
  EXPECT_TRUE(is_app_id(id));
  EXPECT_NE(id, other);
}

// --- what Kamal's documentation shows --------------------------------------------------------------------

TEST_F(KamalConfig, RailsOwnFileGivesAWholeConfiguration) {
  const Config c = config(kRails);
  EXPECT_EQ(c.app_name, "billing");
  EXPECT_EQ(c.workspace_dir, "/srv/billing-workspace");
  EXPECT_EQ(c.local_backup_root, "/srv/billing-workspace/db_backups");
  EXPECT_EQ(c.server_user, "root");
  EXPECT_EQ(c.server_host, "203.0.113.10");
  EXPECT_EQ(c.server_port, 22);
  EXPECT_EQ(c.remote_backup_dir, kVolumeDirectory);
  EXPECT_EQ(c.policy.retention_days, 7);
  EXPECT_EQ(c.databases, std::vector<std::string>{"*.sqlite3"});
  EXPECT_FALSE(c.ssh_key);
  EXPECT_TRUE(c.warnings.empty());
  EXPECT_TRUE(plan(kRails).notes.empty());
}

TEST_F(KamalConfig, EveryLineOfTheFileHasAComment) {
  std::istringstream in(render_env(plan(kRails).env, ""));
  std::string before;
  for (std::string line; std::getline(in, line); before = line)
    if (!line.empty() && line[0] != '#') {
      EXPECT_TRUE(before.starts_with("# ")) << line;
    }
}

struct LoginCase {
  const char* text;
  const char* login;
};

TEST_F(KamalConfig, HostsAreReadInEachForm) {
  const LoginCase cases[] = {
      {"servers: [10.0.0.1]", "root@10.0.0.1 22"},
      {"servers:\n  - 10.0.0.1\n  - 10.0.0.2", "root@10.0.0.1 22"},
      {"servers:\n- app.example.com", "root@app.example.com 22"},
      {"servers:\n  - \"10.0.0.1\"", "root@10.0.0.1 22"},
      {"servers:\n  - 10.0.0.1: experiments", "root@10.0.0.1 22"},
      {"servers:\n  - 10.0.0.1: [experiments, three]\n  - 10.0.0.2", "root@10.0.0.1 22"},
      {"servers:\n  - {10.0.0.1: [a]}", "root@10.0.0.1 22"},
      {"servers:\n  web:\n    - 10.0.0.1\n  job:\n    - 10.0.0.2", "root@10.0.0.1 22"},
      {"servers:\n  job:\n    - 10.0.0.2\n  web:\n    - 10.0.0.1", "root@10.0.0.1 22"},
      {"servers:\n  web:\n    - 10.0.0.1: experiment", "root@10.0.0.1 22"},
      {"servers:\n  web:\n    hosts:\n      - 10.0.0.1\n    options:\n      memory: 2g", "root@10.0.0.1 22"},
      {"servers:\n  web:\n    hosts:\n      - 10.0.0.1: [a, b]\n    cmd: x", "root@10.0.0.1 22"},
      {"servers:\n  web:\n    hosts: 10.0.0.1", "root@10.0.0.1 22"},
      {"servers:\n  web: {hosts: [10.0.0.1], labels: {a: b}}", "root@10.0.0.1 22"},
      {"servers:\n  workers:\n    proxy: false\n    hosts: [10.0.0.1, 10.0.0.2]\nprimary_role: workers",
       "root@10.0.0.1 22"},
      {"servers:\n  web: [10.0.0.1]\n  workers: [10.0.0.2]\nprimary_role: workers", "root@10.0.0.2 22"},
      {"servers:\n  web: [10.0.0.1]\n  empty:\nallow_empty_roles: true", "root@10.0.0.1 22"},
      // As SSHKit takes a host apart; Kamal passes its own port, whatever the host's text says.
      {"servers: [deploy@10.0.0.1]", "deploy@10.0.0.1 22"},
      {"servers: ['deploy@10.0.0.1:2222']\nssh: {user: app}", "deploy@10.0.0.1 22"},
      {"servers: ['10.0.0.1:2222']\nssh: {port: 2222}", "root@10.0.0.1 2222"},
      {"servers: ['[2001:db8::7]:22']", "root@2001:db8::7 22"},
      {"servers: ['2001:db8::7']", "root@2001:db8::7 22"},
  };
  for (const LoginCase& c : cases) EXPECT_EQ(login(with_servers(c.text)), c.login) << c.text;
}

TEST_F(KamalConfig, SshIsReadInEachForm) {
  const LoginCase cases[] = {
      {"ssh: {}", "root@203.0.113.10 22"},
      {"ssh:", "root@203.0.113.10 22"},
      {"ssh:\n  user: app", "app@203.0.113.10 22"},
      {"ssh:\n  port: 2222", "root@203.0.113.10 2222"},
      {"ssh:\n  user: app\n  port: \"2222\"\n  log_level: debug\n  config: true", "app@203.0.113.10 2222"},
  };
  for (const LoginCase& c : cases) EXPECT_EQ(login(with_ssh(c.text)), c.login) << c.text;
}

TEST_F(KamalConfig, TheProxyIsTakenOver) {
  const std::map<std::string, std::string> cases{
      {"ssh: {proxy: gate.example.com}", "root@gate.example.com"},  // Kamal's default user
      {"ssh: {proxy: ops@gate.example.com}", "ops@gate.example.com"},
      {"ssh: {proxy: 'ops@gate.example.com:2200'}", "ops@gate.example.com:2200"},
      {"ssh: {user: app}", ""},
  };
  for (const auto& [text, proxy] : cases) {
    const InitPlan made = plan(with_ssh(text));
    EXPECT_EQ(made.env.proxy, proxy) << text;
    const std::string line = "\nSSH_PROXY=" + proxy + "\n";
    EXPECT_EQ(contains(render_env(made.env, ""), "SSH_PROXY"), !proxy.empty());
    EXPECT_EQ(contains(render_env(made.env, ""), line), !proxy.empty()) << render_env(made.env, "");
  }
  EXPECT_TRUE(contains(refusal_of(with_ssh("ssh: {proxy: 'a@x,b@y'}")).message(), "more than one host"));
}

TEST_F(KamalConfig, AnotherProxyCommandIsNotTakenOverAndTheRemedyIsNamed) {
  const InitPlan made = plan(with_ssh("ssh:\n  proxy_command: \"ssh -W %h:%p gate\""));
  EXPECT_EQ(made.env.proxy, "");
  ASSERT_EQ(made.notes.size(), 1U);
  for (const char* part : {"config/deploy.yml:5", "proxy_command", "ProxyJump", "SSH_CONFIG=yes"})
    EXPECT_TRUE(contains(made.notes[0], part)) << made.notes[0];
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

TEST_F(KamalConfig, SecretsAreNeverTakenOver) {
  const InitPlan made = plan(with_ssh(
      "ssh:\n  key_data:\n    - \"-----BEGIN CANARY KEY-----\"\n"
      "env: {secret: [CANARY_NAME], clear: {A: CANARY_VALUE}}\nregistry: {password: [CANARY_PASSWORD]}\n"));
  EXPECT_FALSE(contains(render_env(made.env, ""), "CANARY"));
  ASSERT_EQ(made.notes.size(), 1U);
  EXPECT_TRUE(contains(made.notes[0], "key_data")) << made.notes[0];
  EXPECT_FALSE(contains(made.notes[0], "CANARY")) << made.notes[0];
}

TEST_F(KamalConfig, TheStorageVolumeIsFoundInEachForm) {
  const std::map<std::string, std::string> cases{
      {"volumes:\n  - billing_storage:/rails/storage", kVolumeDirectory},
      {"volumes:\n  - \"billing_storage:/rails/storage\"", kVolumeDirectory},
      {"volumes: ['billing_storage:/rails/storage/:rw']", kVolumeDirectory},
      {"volumes: ['/mnt/disk/storage:/rails/storage']", "/mnt/disk/storage"},
      {"volumes: ['/mnt/disk/storage/:/rails/storage:z']", "/mnt/disk/storage"},
      {"volumes: ['/mnt/disk:/rails']", "/mnt/disk/storage"},
      {"volumes: ['logs:/rails/log', 'billing_storage:/rails/storage']", kVolumeDirectory},
      {"volumes: ['all:/rails', '/mnt/storage:/rails/storage']", "/mnt/storage"},
      {"volumes: ['./data:/rails/storage']", "~/data"},
      {"volumes: ['data/storage:/rails/storage']", "~/data/storage"},
      {"volumes: ['~/data:/rails/storage']", "~/data"},
      {"volumes: ['${HOME}/data:/rails/storage']", "~/data"},
      {"volumes: ['$PWD/data:/rails/storage']", "~/data"},
      {"volumes: [\"/mnt/a 'b' $\\\"x:/rails/storage\"]", ""},
      {"volumes: [\"/mnt/a 'b' c:/rails/storage\"]", "/mnt/a 'b' c"},
  };
  for (const auto& [text, directory] : cases) {
    if (directory.empty()) {
      EXPECT_TRUE(contains(refusal_of(with_volumes(text)).message(), "the server's shell decides")) << text;
    } else {
      EXPECT_EQ(config(with_volumes(text)).remote_backup_dir, directory) << text;
    }
  }
}

TEST_F(KamalConfig, OptionsOfARoleCanHoldTheStorageVolume) {
  const std::string web = "servers:\n  web:\n    hosts: [10.0.0.1]\n    options:\n      ";
  const std::string service = kService;
  EXPECT_EQ(config(service + web + "volume: billing_storage:/rails/storage").remote_backup_dir,
            kVolumeDirectory);
  EXPECT_EQ(config(service + web + "volume: ['logs:/rails/log', '/mnt/s:/rails/storage']").remote_backup_dir,
            "/mnt/s");
  EXPECT_EQ(config(service + web + "mount: type=volume,source=billing_storage,target=/rails/storage")
                .remote_backup_dir,
            kVolumeDirectory);
  EXPECT_EQ(
      config(service + web + "mount: ['type=bind,src=/mnt/s,dst=/rails/storage,readonly']").remote_backup_dir,
      "/mnt/s");
}

TEST_F(KamalConfig, AVolumeOfAnotherRoleOrAnAccessoryIsWhereThatRuns) {
  const std::string service = kService;
  const Config job = config(service +
                            "servers:\n  web: [10.0.0.1]\n  job:\n    hosts: [10.0.0.2]\n"
                            "    options: {volume: 'billing_storage:/rails/storage'}");
  EXPECT_EQ(job.server_host, "10.0.0.2");
  EXPECT_EQ(job.remote_backup_dir, kVolumeDirectory);
  const std::string servers = "servers:\n  web: [10.0.0.1]\n  db: [{10.0.0.3: [sqlite, main]}, 10.0.0.4]\n";
  const std::map<std::string, std::string> accessories{
      {"host: 10.0.0.9\n    volumes: ['billing_storage:/rails/storage']", "10.0.0.9"},
      {"hosts: [10.0.0.8, 10.0.0.9]\n    volumes: ['billing_storage:/rails/storage']", "10.0.0.8"},
      {"role: db\n    volumes: ['billing_storage:/rails/storage']", "10.0.0.3"},
      {"roles: [db, web]\n    options: {volume: 'billing_storage:/rails/storage'}", "10.0.0.3"},
      {"tag: main\n    options: {volume: ['billing_storage:/rails/storage']}", "10.0.0.3"},
      {"tags: [none, sqlite]\n    volumes: ['billing_storage:/rails/storage']", "10.0.0.3"},
  };
  for (const auto& [accessory, host] : accessories) {
    const Config c =
        config(service + servers + "accessories:\n  litestream:\n    image: x\n    " + accessory);
    EXPECT_EQ(c.server_host, host) << accessory;
    EXPECT_EQ(c.remote_backup_dir, kVolumeDirectory) << accessory;
  }
}

TEST_F(KamalConfig, DirectoriesOfAnAccessoryAreBelowTheLoginsHome) {
  const std::string head = std::string(kService) + kServers + "accessories:\n  db:\n    host: 10.0.0.9\n    ";
  const std::map<std::string, std::string> cases{
      {"directories: ['data:/rails/storage']", "~/billing-db/data"},
      {"service: store\n    directories: ['data:/rails/storage:z']", "~/store/data"},
      {"directories: [{local: data, remote: /rails/storage, mode: '0750'}]", "~/billing-db/data"},
      {"directories: ['/mnt/data:/rails/storage']", "/mnt/data"},
  };
  for (const auto& [text, directory] : cases)
    EXPECT_EQ(config(head + text).remote_backup_dir, directory) << text;
}

TEST_F(KamalConfig, TheAppsOwnVolumeCountsBeforeAnAccessorys) {
  const Config c =
      config(with_volumes("accessories:\n  sync: {host: 10.0.0.9, volumes: "
                          "['other:/rails/storage']}\nvolumes: ['billing_storage:/rails/storage']"));
  EXPECT_EQ(c.server_host, "203.0.113.10");
  EXPECT_EQ(c.remote_backup_dir, kVolumeDirectory);
}

TEST_F(KamalConfig, OtherHostsAreNamed) {
  const InitPlan made =
      plan(with_servers("servers:\n  web: [10.0.0.1, 10.0.0.2]\n  job: [10.0.0.1, 10.0.0.3]"));
  EXPECT_EQ(made.env.host, "10.0.0.1");
  ASSERT_EQ(made.notes.size(), 1U);
  EXPECT_TRUE(contains(made.notes[0], "10.0.0.2, 10.0.0.3")) << made.notes[0];
}

TEST_F(KamalConfig, APortInTheHostThatKamalDoesNotUseIsNamed) {
  const InitPlan made = plan(with_servers("servers: ['10.0.0.1:2222']"));
  ASSERT_EQ(made.notes.size(), 1U);
  EXPECT_TRUE(contains(made.notes[0], "--port 2222")) << made.notes[0];
}

// --- YAML ------------------------------------------------------------------------------------------------

TEST_F(KamalConfig, AnchorsAliasesAndMergeKeysAreFollowed) {
  const Config c = config(R"(
x-web: &web
  proxy: {}
  options: &options {volume: "billing_storage:/rails/storage"}
x-login: &login {user: app, port: 2222}
x-host: &host 10.0.0.1
service: billing
servers:
  web:
    <<: *web
    hosts: [*host]
  job:
    <<: [{hosts: [10.0.0.2]}, *web]
    options: {<<: *options, memory: 2g}
ssh:
  <<: *login
  port: 2200
)");
  EXPECT_EQ(c.server_host, "10.0.0.1");
  EXPECT_EQ(c.server_user, "app");
  EXPECT_EQ(c.server_port, 2200);
  EXPECT_EQ(c.remote_backup_dir, kVolumeDirectory);
}

// Psych goes by order: a merge key replaces what stands before it.
TEST_F(KamalConfig, MergeKeysAndRepeatedKeysMeanWhatTheyMeanToRuby) {
  EXPECT_EQ(login(with_ssh("x-a: &a {user: merged}\nssh:\n  user: app\n  <<: *a")), "merged@203.0.113.10 22");
  EXPECT_EQ(login(with_ssh("ssh: {user: app}\nssh: {user: last}")), "last@203.0.113.10 22");
  EXPECT_EQ(login(with_ssh("ssh: {<<: [{user: first}, {user: second, port: 99}]}")), "first@203.0.113.10 99");
}

TEST_F(KamalConfig, ADestinationIsMergedAtEveryLevel) {
  const std::string base =
      std::string(kService) + kVolumes + "ssh: {user: app, port: 2222}\nservers: {web: [10.0.0.1]}\n";
  const Config c =
      config(base, {.destination = "mars"}, "servers:\n  web:\n    - 10.9.0.1\nssh:\n  port: 22\n");
  EXPECT_EQ(c.app_name, "billing-mars");
  EXPECT_EQ(c.server_host, "10.9.0.1");
  EXPECT_EQ(c.server_user, "app");
  EXPECT_EQ(c.server_port, 22);
  const Config roles = config(base, {.destination = "mars"},
                              "servers: {job: [10.9.0.2]}\nvolumes: ['/mnt/m:/rails/storage']\n");
  EXPECT_EQ(roles.server_host, "10.0.0.1");
  EXPECT_EQ(roles.remote_backup_dir, "/mnt/m");
  EXPECT_EQ(config(base, {.destination = "mars"}, "# nothing\n").server_host, "10.0.0.1");
}

TEST_F(KamalConfig, SshConfigIsReadWhereKamalReadsIt) {
  const std::string file = home_ / "ssh";
  test::write_file(file, "Host *\n");
  const auto ssh_config = [&](const std::string& text) { return plan(text).env.ssh_config; };
  EXPECT_EQ(ssh_config(kRails), "yes");
  EXPECT_EQ(ssh_config(with_ssh("ssh: {config: true}\n")), "yes");
  EXPECT_EQ(ssh_config(with_ssh("ssh: {config: false}\n")), "");
  EXPECT_EQ(ssh_config(with_ssh("ssh: {config: " + file + "}\n")), file);
  EXPECT_EQ(ssh_config(with_ssh("ssh: {config: [" + file + ", b]}\n")), file);
  const InitPlan several = plan(with_ssh("ssh: {config: [" + file + ", b]}\n"));
  ASSERT_EQ(several.notes.size(), 1U);
  EXPECT_TRUE(contains(several.notes[0], "several files")) << several.notes[0];
  const InitPlan missing = plan(with_ssh("ssh: {config: nowhere}\n"));
  EXPECT_EQ(missing.env.ssh_config, "yes");
  ASSERT_EQ(missing.notes.size(), 1U);
  EXPECT_TRUE(contains(missing.notes[0], "/srv/project/nowhere")) << missing.notes[0];
}

TEST_F(KamalConfig, UserAndPortAreLeftToSshConfigWhereKamalsFileIsSilent) {
  const auto env_of = [&](const std::string& text, const std::string& user) {
    InitSources sources{"config/deploy.yml", "/srv/project", {}, {}, {}, false, {}};
    sources.configured_user = [&](const std::string&, const std::string&) { return user; };
    return plan_init(read(text), {}, sources, Ask(), environment_).env;
  };
  EXPECT_EQ(env_of(kRails, "deploy").user, "");
  EXPECT_EQ(env_of(kRails, "").user, "root") << "Kamal's default";
  EXPECT_EQ(env_of(kRails, "deploy").port, "");
  EXPECT_EQ(env_of(with_ssh("ssh: {user: ops, port: 2222}\n"), "deploy").user, "ops");
  EXPECT_EQ(env_of(with_ssh("ssh: {user: ops, port: 2222}\n"), "deploy").port, "2222");
  EXPECT_EQ(env_of(with_ssh("ssh: {config: false}\n"), "deploy").user, "root");
  EXPECT_EQ(env_of(with_ssh("ssh: {config: false}\n"), "deploy").port, "22");
}

TEST_F(KamalConfig, AProxyCommandThatIsAJumpIsTakenOver) {
  const auto proxy = [&](const std::string& command) {
    return plan(with_ssh("ssh: {proxy_command: '" + command + "'}\n")).env.proxy;
  };
  EXPECT_EQ(proxy("ssh -W %h:%p ops@bastion"), "ops@bastion");
  EXPECT_EQ(proxy("ssh ops@bastion -W %h:%p"), "ops@bastion");
  EXPECT_EQ(proxy("ssh -q -p 2222 -W [%h]:%p ops@bastion"), "ops@bastion:2222");
  for (const char* other :
       {"ssh -W %h:%p bastion", "ssh -W %h:%p -i key ops@bastion", "nc %h %p", "ssh ops@bastion",
        "ssh -W %h:%p ops@bastion extra", "aws ssm start-session --target %h"})
    EXPECT_EQ(proxy(other), "") << other;
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

TEST_F(KamalConfig, TheContainersEnvironmentIsReadAndItsSecretsAreNotGuessed) {
  const KamalApp app = read(with_ssh("env: {clear: {A: 1, B: <%= x %>}, secret: [C, D:E]}\n"));
  EXPECT_EQ(app.environment.at("A"), "1");
  for (const char* name : {"B", "C", "D"}) EXPECT_TRUE(contains(app.environment.at(name), "<%")) << name;
  EXPECT_EQ(read(with_ssh("env: {A: x}\n")).environment.at("A"), "x");
}

// --- what is not known -----------------------------------------------------------------------------------

struct UnknownCase {
  const char* text;
  const char* flag;  // that is asked for
  const char* why;
};

TEST_F(KamalConfig, WhatOnlyRubyKnowsIsNotGuessed) {
  const UnknownCase cases[] = {
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [<%= ENV[\"HOST\"] %>]", "--host",
       "config/deploy.yml:3: only Ruby knows what <%= ENV[\"HOST\"] %> gives"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: <%= ENV.fetch('HOSTS', "
       "'10.0.0.1').split(',') %>",
       "--host", "deploy.yml:3: only Ruby knows what <%= ENV.fetch('HOSTS', '10.0.0.1').split(',') %>"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n  web:\n    - <%= a %>.example.com: tag",
       "--host", "deploy.yml:5: only Ruby knows what <%= a %>.example.com"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n<% if x %>\n  - 10.0.0.1\n<% else %>\n  "
       "- 10.0.0.2\n<% end %>",
       "--host", "deploy.yml:5: only Ruby knows what <% if x %> ... 10.0.0.1"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers:\n<% hosts.each do |host| %>\n  - <%= host "
       "%>\n<% end %>",
       "--host", "deploy.yml:5: only Ruby knows what <%= host %>"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: {web: [10.0.0.1]}\nprimary_role: <%= x %>",
       "--host", "deploy.yml:4: only Ruby knows what <%= x %>"},
      {"service: <%= app %>\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]", "--app", "deploy.yml:1"},
      {"service: billing\nvolumes: ['<%= app %>_storage:/rails/storage']\nservers: [10.0.0.1]", "--storage",
       "deploy.yml:2: only Ruby knows what <%= app %>_storage"},
      {"service: billing\nvolumes: ['<%= a ? \"x:y\" : 1 %>:/rails/storage:ro']\nservers: [10.0.0.1]",
       "--storage", "deploy.yml:2"},
      {"service: billing\nvolumes: <%= vols %>\nservers: [10.0.0.1]", "--storage", "deploy.yml:2"},
      {"service: billing\nvolumes: ['v1:<%= root %>/storage']\nservers: [10.0.0.1]", "--storage",
       "deploy.yml:2"},
      {"service: billing\n<% if x -%>\nvolumes: ['v1:/rails/storage']\n<% end -%>\nservers: [10.0.0.1]",
       "--storage", "deploy.yml:3: only Ruby knows what <% if x -%> ... v1"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {user: <%= ENV['U'] %>}",
       "--user", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {port: <%= 22 %>}",
       "--port", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {proxy: <%= x %>}",
       "--proxy", "deploy.yml:4"},
      {"service: billing\nvolumes: ['v1:/rails/storage']\nservers: [10.0.0.1]\nssh: {keys: ['<%= x %>']}",
       "--key", "deploy.yml:4"},
  };
  for (const UnknownCase& c : cases) {
    const Error error = refusal_of(c.text);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << c.text;
    EXPECT_TRUE(contains(error.message(), c.why)) << c.text << "\n" << error.message();
    EXPECT_TRUE(error.hint().starts_with(std::string("give ") + c.flag + " ")) << c.text << "\n"
                                                                               << error.hint();
    EXPECT_EQ(error.hint().substr(0, error.hint().find("; or let Kamal tell")).find("--", 8),
              std::string::npos)
        << "asks for more: " << error.hint();
  }
}

TEST_F(KamalConfig, AnOpenSshSectionLeavesAllOfItOpen) {
  const Error error = refusal_of(with_ssh("ssh: <%= login %>"));
  for (const char* flag : {"--user", "--port", "--key", "--proxy"})
    EXPECT_TRUE(contains(error.hint(), flag)) << error.hint();
  EXPECT_EQ(
      config(with_ssh("ssh: <%= login %>"), {.user = "app", .port = "23", .key = "none", .proxy = "none"})
          .server_user,
      "app");
}

TEST_F(KamalConfig, ErbThatDecidesNothingHereIsPassedOver) {
  const std::string text = std::string("<% require \"dotenv\"; Dotenv.load %>\n<%# a comment %>\n") + kRails +
                           "registry:\n  username: <%= \"ada\" %>\n  password: <%= `pass show x` %>\n"
                           "<% if ENV[\"CI\"] %>\nlogging:\n  driver: <%= 1 %>\n<% end %>\n"
                           "labels:\n  literal: \"<%% not a tag %>\"\n";
  EXPECT_EQ(login(text), "root@203.0.113.10 22");
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

// --- hostile and broken files ----------------------------------------------------------------------------

std::string bomb() {
  std::string text = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*x" + std::to_string(i - 1);
    text += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 8; ++k) text += ", " + before;
    text += "]\n";
  }
  return text;
}

// Mappings that are merged level by level, twice as wide at each.
std::string merge_bomb() {
  std::string text = "m0: &m0 {a: {}, b: {}}\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*m" + std::to_string(i - 1);
    text +=
        "m" + std::to_string(i) + ": &m" + std::to_string(i) + " {a: " + before + ", b: " + before + "}\n";
  }
  return text;
}

TEST_F(KamalConfig, AnAliasBombIsHarmlessOrRefused) {
  EXPECT_EQ(login(bomb() + kRails), "root@203.0.113.10 22");  // shared, not copied
  const Error error = refusal_of(merge_bomb() + kRails, {.destination = "mars"}, merge_bomb());
  EXPECT_TRUE(contains(error.message(), "more than 100000 values")) << error.message();
  std::string wide = "x: &x {";
  for (int i = 0; i < 1000; ++i) wide += "k" + std::to_string(i) + ": 1, ";
  wide += "}\n";
  for (int i = 0; i < 1000; ++i) wide += "y" + std::to_string(i) + ": {<<: *x}\n";
  EXPECT_TRUE(contains(refusal_of(wide).message(), "more than 100000 values"));
}

TEST_F(KamalConfig, DeepNestingIsRefused) {
  for (const std::size_t depth : {65U, 1000U, 100'000U}) {
    EXPECT_TRUE(contains(refusal_of("a: " + std::string(depth, '[') + std::string(depth, ']')).message(),
                         "levels deep"));
    std::string mappings;
    for (std::size_t i = 0; i < depth; ++i) mappings += "{a: ";
    EXPECT_TRUE(contains(refusal_of(mappings).message(), depth > 65'000 ? "larger than" : "levels deep"))
        << depth;
  }
  std::string chain = "x0: &x0 [a]\n";
  for (int i = 1; i < 100; ++i)
    chain += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [*x" + std::to_string(i - 1) + "]\n";
  EXPECT_TRUE(contains(refusal_of(chain).message(), "levels deep"));
}

TEST_F(KamalConfig, BrokenFilesAreRefusedWithTheLine) {
  const std::map<std::string, std::string> cases{
      {"a: b\nc: [d", "config/deploy.yml:"},
      {"a: b\n\tc: d", "config/deploy.yml:2: "},
      {"a: *nowhere", "config/deploy.yml:1: "},
      {"service: x\na: &a [*a]", "config/deploy.yml:2: an alias inside"},
      {std::string("service: x\na: \0", 15), "config/deploy.yml:2: holds control"},
      {"service: \xff\xfe", "config/deploy.yml:1: holds control"},
      {"service: \x1b[31m", "config/deploy.yml:1: holds control"},
      {std::string(10 << 20, 'a'), "config/deploy.yml: is larger than 256 kB"},
      {"service: x\n<% if y", "config/deploy.yml:2: an ERB tag that does not end: <% if y"},
      {"service: x\n<%= everything %>\nservers: []", "its ERB was not run"},
      {"? [a]\n: b", "config/deploy.yml:1: a key that is a list"},
      {"ssh: {<<: <%= x %>}", "config/deploy.yml:1: <%= x %> decides what is merged"},
      {"service: \"\xEE\x83\xA0"
       "0\xEE\x83\xA1\"",
       "a private use character"},
      {"- a\n- b", "config/deploy.yml:1: the file must be a mapping"},
      {"just text", "config/deploy.yml:1: the file must be a mapping"},
      {"service: [a]", "config/deploy.yml:1: service must be one word"},
      {"service: {a: b}", "config/deploy.yml:1: service must be one word"},
      {"servers: {web: {hosts: {a: b}}}", "servers/web/hosts must be a list"},
      {"servers: {web: [[a]]}", "servers/web must be one word"},
      {"servers: [{a: b, c: d}]", "servers/web must be a host, or one host with its tags"},
      {"ssh: [a]", "ssh must be a mapping"},
      {"ssh: text", "ssh must be a mapping"},
      {"ssh: {user: [a]}", "ssh/user must be one word"},
      {"ssh: {keys: {a: b}}", "ssh/keys must be a list"},
      {"volumes: {a: b}", "volumes must be a list"},
      {"volumes: [[a]]", "volumes must be one word"},
      {"accessories: [a]", "accessories must be a mapping"},
      {"accessories: {a: [b]}", "accessories/a must be a mapping"},
      {"servers: {web: {hosts: [a], options: [b]}}", "servers/web/options must be a mapping"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = refusal_of(text);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << text.substr(0, 80);
    EXPECT_TRUE(contains(error.message(), message)) << text.substr(0, 80) << "\n" << error.message();
    EXPECT_FALSE(error.hint().empty()) << text.substr(0, 80);
  }
}

TEST_F(KamalConfig, MarksOfErbThatYamlEscapesForgeDoNoHarm) {
  for (const char* forged :
       {"\\uE0E00\\uE0E1", "\\uE0E099999999999999999999\\uE0E1", "\\uE0E0", "\\uE0E0x\\uE0E1"}) {
    const Error error =
        refusal_of(std::string("service: \"") + forged + "\"\nimage: <%= x %>\n" + kServers + kVolumes);
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << forged;
    EXPECT_TRUE(contains(error.hint(), "--app")) << forged << error.message();
  }
}

// Each byte of a good file taken away, doubled or replaced: a plan or an Error, never anything else.
TEST_F(KamalConfig, ADamagedFileIsReadOrRefused) {
  const std::string whole =
      with_ssh("ssh: {user: app}\nx: &a <%= 1 %>\ny: {<<: *a, z: [*a]}\n<% if a %>\nq: \"r\"\n<% end %>\n");
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const std::string& byte : {std::string(), std::string(2, whole[i]), std::string("["),
                                    std::string("\n"), std::string("%"), std::string("&")}) {
      std::string text = whole;
      text.replace(i, 1, byte);
      const Error error = refusal_of(text);
      EXPECT_TRUE(error.kind() == ErrorKind::kConfiguration || error.message() == "it was accepted") << text;
    }
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
