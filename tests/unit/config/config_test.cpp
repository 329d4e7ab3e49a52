#include "client/config/config.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_fixture.h"

namespace litepull {
namespace {

TEST_F(ConfigTest, AFileOfTheOldScriptWorksUnchanged) {
  const Config config = load(kOldFile);
  EXPECT_EQ(config.file, path_);
  EXPECT_EQ(config.app_name, "billing");
  EXPECT_EQ(config.workspace_dir, home_ + "/projects/billing");
  EXPECT_EQ(config.local_backup_root, home_ + "/projects/billing/storage/backups");
  EXPECT_EQ(config.server_user, "deploy");
  EXPECT_EQ(config.server_host, "203.0.113.10");
  EXPECT_EQ(config.remote_backup_dir, "/var/lib/docker/volumes/billing_storage/_data");
  EXPECT_EQ(config.ssh_key, home_ + "/.ssh/id_ed25519");
  EXPECT_EQ(config.policy.retention_days, 14);
  EXPECT_EQ(config.transport, Transport::kSsh);
  EXPECT_TRUE(config.warnings.empty());
}

TEST_F(ConfigTest, WhatIsNotSetHasItsDefault) {
  const Config config = load_with({});
  EXPECT_EQ(config.workspace_dir, "");
  EXPECT_EQ(config.server_port, 22);
  EXPECT_EQ(config.ssh_key, std::nullopt);
  EXPECT_EQ(config.ssh_known_hosts, std::nullopt);
  EXPECT_EQ(config.transport, Transport::kSsh);
  EXPECT_EQ(config.databases, std::vector<std::string>{"*.sqlite3"});
  EXPECT_TRUE(config.exclude.empty());
  EXPECT_EQ(config.policy.retention_days, 7);
  EXPECT_EQ(config.connect_timeout_s, 15);
  EXPECT_EQ(config.idle_timeout_s, 60);
  EXPECT_EQ(config.compression_level, std::nullopt);
  EXPECT_EQ(config.hold_max_s, 600);
  EXPECT_EQ(config.wal_growth_max_mb, 256);
  EXPECT_EQ(config.barrier_ms, 2000);
  EXPECT_TRUE(config.warnings.empty());
}

TEST_F(ConfigTest, EveryOtherKeyIsRead) {
  const Config config = load_with({{"SERVER_PORT", "2222"},
                                   {"SSH_KNOWN_HOSTS", "\"$HOME/.ssh/known_hosts\""},
                                   {"DATABASES", "'*.sqlite3\t **/*.db '"},
                                   {"EXCLUDE", "'*_cache.sqlite3 old/**'"},
                                   {"CONNECT_TIMEOUT", "1"},
                                   {"IDLE_TIMEOUT", "86400"},
                                   {"COMPRESSION_LEVEL", "-7"},
                                   {"HOLD_MAX_SECONDS", "30"},
                                   {"WAL_GROWTH_MAX_MB", "64"},
                                   {"BARRIER_TIMEOUT_MS", "0"},
                                   {"RETENTION_DAYS", "036500"}});
  EXPECT_EQ(config.server_port, 2222);
  EXPECT_EQ(config.ssh_known_hosts, home_ + "/.ssh/known_hosts");
  EXPECT_EQ(config.databases, (std::vector<std::string>{"*.sqlite3", "**/*.db"}));
  EXPECT_EQ(config.exclude, (std::vector<std::string>{"*_cache.sqlite3", "old/**"}));
  EXPECT_EQ(config.connect_timeout_s, 1);
  EXPECT_EQ(config.idle_timeout_s, 86400);
  EXPECT_EQ(config.compression_level, -7);
  EXPECT_EQ(config.hold_max_s, 30);
  EXPECT_EQ(config.wal_growth_max_mb, 64);
  EXPECT_EQ(config.barrier_ms, 0);
  EXPECT_EQ(config.policy.retention_days, 36500);
  EXPECT_TRUE(config.warnings.empty());
}

TEST_F(ConfigTest, CountsAloneLeaveNoLimitOfDays) {
  EXPECT_EQ(load_with({{"KEEP_DAILY", "7"}}).policy.retention_days, std::nullopt);
  EXPECT_EQ(load_with({{"KEEP_DAILY", "0"}}).policy.retention_days, 7);
  EXPECT_EQ(load_with({{"KEEP_PRE_DEPLOY", "3"}}).policy.retention_days, 7);
  const Policy policy = load_with({{"KEEP_LAST", "1"},
                                   {"KEEP_DAILY", "2"},
                                   {"KEEP_WEEKLY", "3"},
                                   {"KEEP_MONTHLY", "4"},
                                   {"KEEP_YEARLY", "5"},
                                   {"KEEP_PRE_DEPLOY", "6"},
                                   {"RETENTION_DAYS", "8"}})
                            .policy;
  EXPECT_EQ(policy.keep_last, 1);
  EXPECT_EQ(policy.keep_daily, 2);
  EXPECT_EQ(policy.keep_weekly, 3);
  EXPECT_EQ(policy.keep_monthly, 4);
  EXPECT_EQ(policy.keep_yearly, 5);
  EXPECT_EQ(policy.keep_pre_deploy, 6);
  EXPECT_EQ(policy.retention_days, 8);
}

TEST_F(ConfigTest, AnAppNameThatIsNoPlainNameIsRefused) {
  for (const char* name : {"../x", "..", ".", ".hidden", "-x", "_x", "a/b", "'a b'", "'a;b'", "'a$b'", "'*'",
                           "caf\xC3\xA9", "'a\tb'", "a:b", "a@b", "'$(touch x)'"})
    expect_refused("APP_NAME", name, "must be letters, digits");
  expect_refused("APP_NAME", std::string(65, 'a'), "at most 64");
  for (const std::string& id : {std::string("'a b'"), std::string("a/b"), std::string(65, 'a')})
    expect_refused("APP_ID", id, "must be letters, digits");
  EXPECT_EQ(load_with({{"APP_ID", "0123-abc"}}).app_id, "0123-abc");
  EXPECT_EQ(load_with({}).app_id, "");
  for (const std::string& name :
       {std::string("a"), std::string("0"), std::string("My-App_2.0"), std::string(64, 'a')})
    EXPECT_EQ(load_with({{"APP_NAME", name}}).app_name, name);
}

TEST_F(ConfigTest, AServerHostIsANameOrAnAddressAndNeverAnOption) {
  for (const char* host : {"-oProxyCommand=x", "-h", "'a b'", "deploy@example.com", "a/b", "'a;b'", "'`x`'",
                           "ssh://a", "[]", "[example.com", "a%h", "caf\xC3\xA9.fr"})
    expect_refused("SERVER_HOST", host, "must be a host name");
  for (const char* host : {"example.com:2222", "1:2", ":::", "203.0.113.10:22", "[example.com:22]"})
    expect_refused("SERVER_HOST", host, "must be a host name");
  expect_refused("SERVER_HOST", std::string(254, 'a'), "must be a host name");
  for (const char* host : {"fe80::1%", "fe80::1%a/b", "'fe80::1%a;b'", "example.com%eth0", "fe80::1%eth0:22"})
    expect_refused("SERVER_HOST", host, "must be a host name");
  for (const char* host :
       {"example.com", "my_host", "203.0.113.10", "2001:db8::1", "::1", "a-b.c", "fe80::1%eth0", "fe80::1%2"})
    EXPECT_EQ(load_with({{"SERVER_HOST", host}}).server_host, host);
  EXPECT_EQ(load_with({{"SERVER_HOST", "[2001:db8::1]"}}).server_host, "2001:db8::1");
}

// Names that OpenSSH takes are accepted, so that users of a directory service can log in. Nothing is accepted
// that a shell or an option could be made of.
TEST_F(ConfigTest, AServerUserIsWhatOpenSshTakesAndNeverAnOption) {
  for (const char* user :
       {"-l", "-oProxyCommand=x", "'a;b'", "'$(x)'", "'`x`'", "'a|b'", "'a&b'", "'a>b'", "'a<b'", "'a\"b'",
        "\"a'b\"", "'a{b}'", "'a -b'", "'CORP\\'", "' a'", "'a '", "'a\tb'"})
    expect_refused("SERVER_USER", user, "must not begin with '-'");
  for (const char* user :
       {"deploy", "_www", "a.b-c_d", "0", "deploy@corp.example.com", "a:b", "a/b", "a+b", "svc$"})
    EXPECT_EQ(load_with({{"SERVER_USER", "'" + std::string(user) + "'"}}).server_user, user);
  EXPECT_EQ(load_with({{"SERVER_USER", "'CORP\\joe smith'"}}).server_user, "CORP\\joe smith");
  EXPECT_EQ(load_with({{"SERVER_USER", "'caf\xC3\xA9'"}}).server_user, "caf\xC3\xA9");
}

TEST_F(ConfigTest, AnErrorAboutAHostNamesItsOwnCause) {
  const auto hint_for = [&](const std::string& host) {
    return refusal_of(file_with({{"SERVER_HOST", host}})).hint();
  };
  EXPECT_NE(hint_for("'fe80::1%a/b'").find("network interface"), std::string::npos);
  EXPECT_NE(hint_for("deploy@example.com").find("SERVER_USER"), std::string::npos);
  EXPECT_NE(hint_for("example.com:2222").find("SERVER_PORT"), std::string::npos);
  EXPECT_NE(hint_for("fe80::zz").find("IPv6"), std::string::npos);
}

TEST_F(ConfigTest, AJumpHostIsUserHostAndPortAndNothingElse) {
  for (const char* proxy : {"'a;b'",   "'$(x)'",     "'`x`'",    "-oProxyCommand=x",
                            "root@-x", "-l@host",    "'a b'",    "-l@b@c",
                            "host:0",  "host:65536", "host:22x", "host:",
                            "'@host'", "root@",      "[::1",     "[host]:22",
                            "[::1]22", "::1",        "a,b",      "ssh://host",
                            "'a|b'",   "'a\tb'"})
    expect_refused("SSH_PROXY", proxy, "must be [USER@]HOST[:PORT]");
  const Config plain = load_with({{"SSH_PROXY", "bastion.example.com"}});
  EXPECT_EQ(plain.ssh_proxy->user, "root");  // as Kamal has it
  EXPECT_EQ(plain.ssh_proxy->host, "bastion.example.com");
  EXPECT_EQ(plain.ssh_proxy->port, std::nullopt);
  const Config full = load_with({{"SSH_PROXY", "ops@[2001:db8::1]:2222"}});
  EXPECT_EQ(full.ssh_proxy->user, "ops");
  EXPECT_EQ(full.ssh_proxy->host, "2001:db8::1");
  EXPECT_EQ(full.ssh_proxy->port, 2222);
  const Config domain = load_with({{"SSH_PROXY", "joe@corp.example.com@bastion:2222"}});
  EXPECT_EQ(domain.ssh_proxy->user, "joe@corp.example.com");
  EXPECT_EQ(domain.ssh_proxy->host, "bastion");
  EXPECT_EQ(load_with({{"SSH_PROXY", "[fe80::1%eth0]:22"}}).ssh_proxy->host, "fe80::1%eth0");
}

TEST_F(ConfigTest, OpenSshsConfigurationIsUsedOnlyWhenAskedForAndThenNeedsNoUser) {
  EXPECT_EQ(load_with({}).ssh_config, std::nullopt);
  EXPECT_EQ(load_with({{"SSH_CONFIG", "no"}}).ssh_config, std::nullopt);
  const Config config = load_with({{"SSH_CONFIG", "yes"}, {"SERVER_USER", ""}});
  EXPECT_EQ(config.ssh_config, "");
  EXPECT_EQ(config.server_user, "");
  EXPECT_FALSE(config.server_port_given);
  expect_refused("SSH_CONFIG", "/no/such/file", "cannot be opened");
}

TEST_F(ConfigTest, RemoteSudoIsYesOrNo) {
  EXPECT_FALSE(load_with({}).remote_sudo);
  EXPECT_TRUE(load_with({{"REMOTE_SUDO", "yes"}}).remote_sudo);
  expect_refused("REMOTE_SUDO", "true", "must be 'yes' or 'no'");
}

TEST_F(ConfigTest, WithSudoTheStorageDirectoryIsAbsolute) {
  EXPECT_EQ(load_with({{"REMOTE_SUDO", "yes"}, {"REMOTE_BACKUP_DIR", "/srv/storage"}}).remote_backup_dir,
            "/srv/storage");
  for (const char* directory : {"'~/storage'", "storage"})
    EXPECT_THROW(load_with({{"REMOTE_SUDO", "yes"}, {"REMOTE_BACKUP_DIR", directory}}), Error) << directory;
}

TEST_F(ConfigTest, WhatMayBeConfiguredAnAgentTakes) {
  const Config config = load_with({{"COMPRESSION_LEVEL", "19"},
                                   {"HOLD_MAX_SECONDS", "86400"},
                                   {"WAL_GROWTH_MAX_MB", "1048576"},
                                   {"BARRIER_TIMEOUT_MS", "10000"}});
  EXPECT_EQ(config.compression_level, kMaxLevel);
  EXPECT_EQ(load_with({{"COMPRESSION_LEVEL", "-7"}}).compression_level, kMinLevel);
  EXPECT_EQ(static_cast<std::uint32_t>(config.hold_max_s) * 1000, kMaxHoldMs);
  EXPECT_EQ(static_cast<std::uint64_t>(config.wal_growth_max_mb) << 20, kMaxWalGrowthBytes);
  EXPECT_EQ(static_cast<std::uint32_t>(config.barrier_ms), kMaxBarrierMs);
}

TEST_F(ConfigTest, NumbersAreWholeAndInTheirRange) {
  const std::map<std::string, std::pair<int, int>> ranges{
      {"SERVER_PORT", {1, 65535}},         {"RETENTION_DAYS", {1, 36500}},
      {"KEEP_LAST", {0, 100'000}},         {"KEEP_DAILY", {0, 100'000}},
      {"KEEP_WEEKLY", {0, 100'000}},       {"KEEP_MONTHLY", {0, 100'000}},
      {"KEEP_YEARLY", {0, 100'000}},       {"KEEP_PRE_DEPLOY", {1, 100'000}},
      {"CONNECT_TIMEOUT", {1, 3600}},      {"IDLE_TIMEOUT", {1, 86400}},
      {"COMPRESSION_LEVEL", {-7, 19}},     {"HOLD_MAX_SECONDS", {1, 86400}},
      {"WAL_GROWTH_MAX_MB", {1, 1 << 20}}, {"BARRIER_TIMEOUT_MS", {0, 10000}}};
  for (const auto& [name, range] : ranges) {
    const std::string says =
        "must be a whole number from " + std::to_string(range.first) + " to " + std::to_string(range.second);
    for (const char* value : {"''", "abc", "7x", "x7", "7.5", "1e3", "+7", "' 7'", "'7 '", "0x10", "--7", "-",
                              "99999999999999999999", "-99999999999999999999", "'7;touch x'", "7\xC2\xA0"})
      expect_refused(name, value, says);
    expect_refused(name, std::to_string(range.first - 1), says);
    expect_refused(name, std::to_string(range.second + 1), says);
    EXPECT_NO_THROW(load_with({{name, std::to_string(range.first)}})) << name;
    EXPECT_NO_THROW(load_with({{name, std::to_string(range.second)}})) << name;
  }
}

TEST_F(ConfigTest, TheBackupRootIsAbsoluteOrInsideTheWorkspace) {
  EXPECT_EQ(load_with({{"LOCAL_BACKUP_ROOT", "/a/b//"}}).local_backup_root, "/a/b");
  EXPECT_EQ(load_with({{"LOCAL_BACKUP_ROOT", "~/b"}}).local_backup_root, home_ + "/b");
  EXPECT_EQ(load_with({{"WORKSPACE_DIR", "/w/"}, {"LOCAL_BACKUP_ROOT", "storage/b"}}).local_backup_root,
            "/w/storage/b");
  EXPECT_EQ(load_with({{"WORKSPACE_DIR", "/"}, {"LOCAL_BACKUP_ROOT", "b"}}).local_backup_root, "/b");
  EXPECT_EQ(load_with({{"WORKSPACE_DIR", "/w"}, {"LOCAL_BACKUP_ROOT", "/b"}}).local_backup_root, "/b");
  expect_refused("LOCAL_BACKUP_ROOT", "storage/b", "must be absolute when WORKSPACE_DIR is not set");
  expect_refused("LOCAL_BACKUP_ROOT", "'~/b'", "a '~' in quotes", {{"WORKSPACE_DIR", "/w"}});
  expect_refused("LOCAL_BACKUP_ROOT", "'/b\tc'", "control characters");
  expect_refused("LOCAL_BACKUP_ROOT", "/b\xFF", "not UTF-8");
  expect_refused("LOCAL_BACKUP_ROOT", "/" + std::string(4096, 'b'), "longer than a path can be");
}

TEST_F(ConfigTest, TheWorkspaceIsAbsolute) {
  expect_refused("WORKSPACE_DIR", "projects/billing", "must be absolute");
  expect_refused("WORKSPACE_DIR", "'~/projects'", "must be absolute");
  expect_refused("WORKSPACE_DIR", "'/w\tx'", "control characters");
  EXPECT_EQ(load_with({{"WORKSPACE_DIR", "~/projects"}}).workspace_dir, home_ + "/projects");
}

TEST_F(ConfigTest, TheTransportIsSshOrLocal) {
  for (const char* transport : {"''", "SSH", "scp", "'local '", "'$(touch x)'"})
    expect_refused("TRANSPORT", transport, "must be 'ssh' or 'local'");
  EXPECT_EQ(load_with({{"TRANSPORT", "ssh"}}).transport, Transport::kSsh);
  EXPECT_EQ(load_with({{"TRANSPORT", "local"}}).transport, Transport::kLocal);
}

TEST_F(ConfigTest, ALocalTransportNeedsNoServerAndNoKey) {
  const Config config = load_with(
      {{"TRANSPORT", "local"}, {"SERVER_USER", ""}, {"SERVER_HOST", ""}, {"SSH_KEY", "/nowhere/id_ed25519"}});
  EXPECT_EQ(config.transport, Transport::kLocal);
  EXPECT_EQ(config.server_host, "");
}

TEST_F(ConfigTest, TheRemoteDirectoryIsWhatTheServerIsToSee) {
  for (const char* directory : {"/srv/storage", "storage", "~/storage", "/srv/a b;$(touch x)`x`'\"*"}) {
    std::string quoted;
    for (const char* c = directory; *c != '\0'; ++c)
      quoted += *c == '\'' ? std::string("'\\''") : std::string(1, *c);
    const Config config = load_with({{"REMOTE_BACKUP_DIR", "'" + quoted + "'"}});
    EXPECT_EQ(config.remote_backup_dir, directory);
    EXPECT_TRUE(config.warnings.empty());
  }
  expect_refused("REMOTE_BACKUP_DIR", "'/srv\tx'", "control characters");
  expect_refused("REMOTE_BACKUP_DIR", "/srv/\xC2\x9Bx", "control characters");
  expect_refused("REMOTE_BACKUP_DIR", "/srv/\xFF", "not UTF-8");
}

TEST_F(ConfigTest, AnUnquotedTildeIsThisMachinesHomeAndSaysSo) {
  const Config config = load_with({{"REMOTE_BACKUP_DIR", "~/storage"}});
  EXPECT_EQ(config.remote_backup_dir, home_ + "/storage");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_NE(config.warnings[0].find("this machine's home directory"), std::string::npos);
  EXPECT_TRUE(load_with({{"REMOTE_BACKUP_DIR", "~/storage"}, {"TRANSPORT", "local"}}).warnings.empty());
}

TEST_F(ConfigTest, ALocalTransportNeedsAnAbsoluteDirectory) {
  for (const char* directory : {"storage", "'~/storage'", "./storage"})
    expect_refused("REMOTE_BACKUP_DIR", directory, "must be absolute", {{"TRANSPORT", "local"}});
}

TEST_F(ConfigTest, SshFilesAreFoundFromTheRootTheHomeOrTheWorkspace) {
  const std::string key = home_ + "/.ssh/id_ed25519";
  for (const std::string& written :
       {key, std::string("~/.ssh/id_ed25519"), std::string("'~/.ssh/id_ed25519'"),
        std::string("\"$HOME/.ssh/id_ed25519\"")})
    EXPECT_EQ(load_with({{"SSH_KEY", written}}).ssh_key, key) << written;
  EXPECT_EQ(load_with({{"WORKSPACE_DIR", "~"}, {"SSH_KEY", ".ssh/id_ed25519"}}).ssh_key, key);
  EXPECT_EQ(load_with({{"SSH_KNOWN_HOSTS", "'~/.ssh/known_hosts'"}}).ssh_known_hosts,
            home_ + "/.ssh/known_hosts");
}

TEST_F(ConfigTest, AnSshFileThatCannotBeUsedIsRefusedWithItsFullPath) {
  ASSERT_EQ(::mkfifo((home_ + "/fifo").c_str(), 0600), 0);
  for (const char* name : {"SSH_KEY", "SSH_KNOWN_HOSTS"}) {
    expect_refused(name, "~/.ssh/missing", "(" + home_ + "/.ssh/missing): No such file");
    expect_refused(name, "'~/.ssh/missing'", "(" + home_ + "/.ssh/missing): No such file");
    expect_refused(name, "~/.ssh", "is not a regular file");
    expect_refused(name, "~/fifo", "is not a regular file");
    expect_refused(name, "id_ed25519", "must be absolute when WORKSPACE_DIR is not set");
    expect_refused(name, "'/a\tb'", "control characters");
  }
}

TEST_F(ConfigTest, PatternsThatCouldLeaveTheDirectoryOrMatchNothingAreRefused) {
  const std::map<std::string, std::string> cases{{"' '", "holds no pattern"},
                                                 {"'*.db /etc/*'", "starts with '/'"},
                                                 {"'../*'", "'..' for a directory"},
                                                 {"'a/../b'", "'..' for a directory"},
                                                 {"'a/..'", "'..' for a directory"},
                                                 {"'./a'", "'.' for a directory"},
                                                 {"'a/'", "empty name"},
                                                 {"'a//b'", "empty name"},
                                                 {"'a\xFF'", "not plain text"},
                                                 {"'a\xC2\x85'", "not plain text"},
                                                 {std::string(256, 'a'), "more than 255 bytes"}};
  for (const char* name : {"DATABASES", "EXCLUDE"})
    for (const auto& [value, says] : cases) expect_refused(name, value, says);
  expect_refused("DATABASES", "''", "holds no pattern");
}

TEST_F(ConfigTest, UpToSixtyFourPatternsAreRead) {
  std::string patterns;
  for (int i = 0; i < 64; ++i) patterns += "a ";
  EXPECT_EQ(load_with({{"DATABASES", "'" + patterns + "'"}}).databases.size(), 64u);
  expect_refused("DATABASES", "'" + patterns + "a'", "more than 64 patterns");
  EXPECT_EQ(load_with({{"DATABASES", std::string(255, 'a')}}).databases.size(), 1u);
  EXPECT_EQ(load_with({{"DATABASES", "'..a a..b'"}}).databases.size(), 2u);
}

TEST_F(ConfigTest, VerifyTakesTheWordsOfTheOption) {
  EXPECT_EQ(load_with({}).verify, VerifyMode::kFull);
  EXPECT_EQ(load_with({{"VERIFY", "full"}}).verify, VerifyMode::kFull);
  EXPECT_EQ(load_with({{"VERIFY", "quick"}}).verify, VerifyMode::kQuick);
  EXPECT_EQ(load_with({{"VERIFY", "none"}}).verify, VerifyMode::kNone);
  EXPECT_EQ(load_with({{"VERIFY", "strict"}}).verify, VerifyMode::kStrict);
  expect_refused("VERIFY", "yes", "must be full, quick, none or strict");
}

}  // namespace
}  // namespace litepull
