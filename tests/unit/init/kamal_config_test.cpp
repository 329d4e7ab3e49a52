// Every form of hosts, roles, ssh and volumes in Kamal's configuration, and the configuration that init makes
// of it. Each is read back by the parser that backup uses.
#include "client/init/kamal_config.h"

#include <gtest/gtest.h>

#include "tests/unit/init/kamal_fixture.h"

namespace litepull {
namespace {

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

// In Psych a merge key replaces what stands before it.
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
  EXPECT_EQ(env_of(with_ssh("ssh: {config: false}\n"), "deploy").port, "") << "22 anyway";
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

TEST_F(KamalConfig, TheContainersEnvironmentIsReadAndItsSecretsAreNotGuessed) {
  const KamalApp app = read(with_ssh("env: {clear: {A: 1, B: <%= x %>}, secret: [C, D:E]}\n"));
  EXPECT_EQ(app.environment.at("A"), "1");
  for (const char* name : {"B", "C", "D"}) EXPECT_TRUE(contains(app.environment.at(name), "<%")) << name;
  EXPECT_EQ(read(with_ssh("env: {A: x}\n")).environment.at("A"), "x");
}

}  // namespace
}  // namespace litepull
