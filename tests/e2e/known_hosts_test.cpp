// litepull trusts the hosts that OpenSSH trusts, with the same configuration and the same files. Each test
// runs `ssh` beside litepull, against one real sshd. A host is trusted when the login is tried. Both have a
// key that the server refuses, so that only trust is tested.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>

#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

enum class Trusted { kYes, kNo };

struct Form {
  const char* name;
  Trusted by_ssh;
  std::string known_hosts;  // "one", the only file unless `lines` say otherwise
  std::string lines;        // of the host in the configuration
  // Where litepull does not trust what ssh does: what it says.
  std::string told;
};

class KnownHosts : public testing::Test {
 protected:
  KnownHosts() : app_(Over::kSsh, with_two_keys()) {
    app_.set("CONNECT_TIMEOUT", "20");
    for (const char* key : {"SERVER_USER", "SERVER_PORT", "SSH_KEY", "SSH_KNOWN_HOSTS"}) app_.set(key, "");
    app_.set("SERVER_HOST", "app");
    app_.set("SSH_CONFIG", config());
    app_.set_environment("SSH_AUTH_SOCK", "");
  }

  static SshdOptions with_two_keys() {
    SshdOptions options;
    options.host_key_types = {"ed25519", "ecdsa"};
    return options;
  }

  std::string config() const { return app_.scratch("ssh_config"); }
  std::string file(const std::string& name) const { return app_.scratch(name); }
  std::string at_port(const std::string& host = "127.0.0.1") {
    return "[" + host + "]:" + std::to_string(app_.sshd().port());
  }
  std::string key(const std::string& type = "ed25519") {
    const std::string line = app_.sshd().known_hosts_line(type);
    return line.substr(line.find(' ') + 1, line.size() - line.find(' ') - 2);
  }
  std::string other_key() {
    const std::string line = read_file(app_.sshd().other_key_path() + ".pub");
    return line.substr(0, line.find(' ', line.find(' ') + 1));
  }
  std::string hashed(const std::string& name) {
    write_file(file("hashed"), name + " " + key() + "\n");
    EXPECT_TRUE(run({"ssh-keygen", "-q", "-H", "-f", file("hashed")}).ok());
    return read_file(file("hashed"));
  }

  void write_config(const std::string& lines) {
    std::string text = "Host app\n" + lines;
    // The first value of a keyword counts.
    text += "  HostName 127.0.0.1\n  Port " + std::to_string(app_.sshd().port()) + "\n  User " +
            app_.sshd().user() + "\n  IdentityFile " + app_.sshd().other_key_path() +
            "\n  IdentitiesOnly yes\n  UserKnownHostsFile " + file("one") + "\n  GlobalKnownHostsFile " +
            file("global") + "\n";
    write_file(config(), text);
  }

  Trusted by_ssh() {
    const ProcessResult result = run({"ssh", "-F", config(), "-o", "BatchMode=yes", "app", "true"});
    const bool tried = result.err.find("Permission denied") != std::string::npos;
    EXPECT_NE(tried, result.err.find("Host key verification failed") != std::string::npos) << result.err;
    return tried ? Trusted::kYes : Trusted::kNo;
  }

  // What litepull said is kept.
  Trusted by_litepull() {
    const BackupRun run = app_.backup();
    said_ = run.process.err;
    EXPECT_EQ(run.exit_code(), 3) << run.words();
    const bool tried = said_.find(": login as") != std::string::npos;
    EXPECT_NE(tried, said_.find("host key") != std::string::npos) << said_;
    return tried ? Trusted::kYes : Trusted::kNo;
  }

  void expect_agreement(const Form& form) {
    SCOPED_TRACE(form.name);
    write_file(file("one"), form.known_hosts);
    write_config(form.lines);
    EXPECT_EQ(by_ssh(), form.by_ssh);
    EXPECT_EQ(by_litepull(), form.told.empty() ? form.by_ssh : Trusted::kNo) << said_;
    EXPECT_NE(said_.find(form.told), std::string::npos) << said_;
    EXPECT_EQ(said_.find("/dev/null"), std::string::npos) << said_;
  }

  std::vector<Form> forms_of_lines();
  std::vector<Form> forms_of_files();

  PullFixture app_;
  std::string said_;
};

constexpr Trusted kYes = Trusted::kYes, kNo = Trusted::kNo;

std::vector<Form> KnownHosts::forms_of_lines() {
  const std::string here = at_port(), ours = here + " " + key() + "\n";
  const std::string unknown_type = " ssh-mldsa-65 AAAADHNzaC1tbGRzYS02NQ==\n";
  return {
      {"the host and its port", kYes, ours, "", ""},
      {"no line", kNo, "", "", ""},
      {"another key", kNo, here + " " + other_key() + "\n", "", ""},
      {"excluded by '!'", kNo, "[127.0.0.*]:*,!" + here + " " + key() + "\n", "", ""},
      {"excluded before the pattern", kNo, "!" + here + ",!127.0.0.1,* " + key() + "\n", "", ""},
      {"excluded with its port, and not without", kYes, "!" + here + ",* " + key() + "\n", "", ""},
      {"excluded in one line, named in another", kYes, "*,!" + here + " " + key() + "\n" + ours, "", ""},
      {"a pattern", kYes, "[127.0.?.*]:* " + key() + "\n", "", ""},
      {"a pattern for all", kYes, "* " + key() + "\n", "", ""},
      {"several names", kYes, "a.example,b.example," + here + ",c.example " + key() + "\n", "", ""},
      {"a hashed name", kYes, hashed(here), "", ""},
      {"a hashed name without the port", kYes, hashed("127.0.0.1"), "", ""},
      {"another hashed name", kNo, hashed("[127.0.0.2]:22"), "", ""},
      {"the name without the port", kYes, "127.0.0.1 " + key() + "\n", "", ""},
      {"the name without the port, another key with it", kNo,
       here + " " + other_key() + "\n127.0.0.1 " + key() + "\n", "", ""},
      {"another port", kNo, "[127.0.0.1]:1 " + key() + "\n", "", ""},
      {"carriage returns", kYes, "# hosts\r\n" + here + " " + key() + "\r\n", "", ""},
      {"tabs and blanks", kYes, " \t" + here + "\t  " + key() + " \t me@here\n", "", ""},
      {"comments", kYes, "# " + here + " " + other_key() + "\n\n" + ours, "", ""},
      {"a commented line", kNo, "#" + ours, "", ""},
      {"an unknown type before", kYes, here + unknown_type + ours, "", ""},
      {"an unknown type at the port, the name without it", kYes,
       here + unknown_type + "127.0.0.1 " + key() + "\n", "", ""},
      {"a line of 100 kB before", kYes, "x.example " + std::string(100'000, 'A') + "\n" + ours, "", ""},
      {"a line of 40 kB", kYes,
       std::string(8'000, 'a') + "\n" +
           [&] {
             std::string names;
             for (int i = 0; i < 3'000; ++i) names += "h" + std::to_string(i) + ".example,";
             return names;
           }() +
           ours,
       "", ""},
      {"no line end", kYes, ours.substr(0, ours.size() - 1), "", ""},
      {"another key, then the right one", kYes, here + " " + other_key() + "\n" + ours, "", ""},
      {"revoked", kNo, ours + "@revoked " + ours, "", ""},
      {"revoked for all hosts", kNo, "@revoked * " + key() + "\n" + ours, "", ""},
      {"revoked for another host", kYes, "@revoked other.example " + key() + "\n" + ours, "", ""},
      {"revoked at the port, the name without it", kNo, "@revoked " + ours + "127.0.0.1 " + key() + "\n", "",
       ""},
      {"a certificate authority only", kNo, "@cert-authority * " + key() + "\n", "", ""},
      {"a certificate authority and the key", kYes, "@cert-authority * " + other_key() + "\n" + ours, "", ""},
      {"an unknown marker", kNo, "@trusted " + ours, "", ""},
      {"one type of two", kYes, here + " " + key("ecdsa") + "\n", "", ""},
      {"one type of two, revoked", kNo, here + " " + key("ecdsa") + "\n@revoked * " + key("ecdsa") + "\n", "",
       ""},
      {"the preferred type wrong, the other right", kNo,
       here + " " + other_key() + "\n" + here + " " + key("ecdsa") + "\n", "", ""},
      {"the other type for the name without the port", kNo, "127.0.0.1 " + key("ecdsa") + "\n", "", ""},
  };
}

std::vector<Form> KnownHosts::forms_of_files() {
  const std::string ours = at_port() + " " + key() + "\n";
  write_file(file("two"), ours);
  write_file(file("with a space"), ours);
  write_file(file("for-app"), ours);
  write_file(file("revoked"), key() + " gone\n");
  write_file(file("not-revoked"), other_key() + "\n");
  write_file(file("command.sh"), "#!/bin/sh\necho '" + at_port() + " " + key() + "'\n");
  fs::permissions(file("command.sh"), fs::perms(0755));
  return {
      {"a second file", kYes, "# others\n", "  UserKnownHostsFile " + file("one") + " " + file("two") + "\n",
       ""},
      {"a first file that is not there", kYes, "",
       "  UserKnownHostsFile " + file("no") + " " + file("two") + "\n", ""},
      {"a path with a space", kYes, "", "  UserKnownHostsFile \"" + file("with a space") + "\"\n", ""},
      {"a token in the path", kYes, "", "  UserKnownHostsFile " + file("for-%n") + "\n", ""},
      {"none of the user's, one of the system's", kYes, "",
       "  UserKnownHostsFile none\n  GlobalKnownHostsFile " + file("no") + " " + file("two") + "\n", ""},
      {"no file at all", kNo, ours, "  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n", ""},
      {"an alias", kYes, "billing " + key() + "\n", "  HostKeyAlias billing\n", ""},
      {"an alias in capitals", kYes, "billing " + key() + "\n", "  HostKeyAlias BILLING\n", ""},
      {"an alias with a port", kNo, at_port("billing") + " " + key() + "\n", "  HostKeyAlias billing\n", ""},
      {"an alias that is not known", kNo, ours, "  HostKeyAlias billing\n", ""},
      {"a name in capitals", kYes, at_port("LocalHost") + " " + key() + "\n", "  HostName LOCALHOST\n", ""},
      {"CheckHostIP on the same machine", kYes,
       at_port("localhost") + " " + key() + "\n" + at_port() + " " + other_key() + "\n",
       "  HostName localhost\n  CheckHostIP yes\n", ""},
      {"HostKeyAlgorithms for another type", kNo, ours, "  HostKeyAlgorithms ecdsa-sha2-nistp256\n", ""},
      {"HostKeyAlgorithms for the known type", kYes, at_port() + " " + key("ecdsa") + "\n",
       "  HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519\n", ""},
      {"RevokedHostKeys", kNo, ours, "  RevokedHostKeys " + file("revoked") + "\n", ""},
      {"RevokedHostKeys of others", kYes, ours, "  RevokedHostKeys " + file("not-revoked") + "\n", ""},
      {"KnownHostsCommand", kYes, "",
       "  UserKnownHostsFile none\n  KnownHostsCommand " + file("command.sh") + "\n",
       "litepull does not follow KnownHostsCommand"},
      {"StrictHostKeyChecking no", kYes, "", "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n",
       "litepull does not follow StrictHostKeyChecking"},
  };
}

TEST_F(KnownHosts, AreReadLineByLineAsOpenSshReadsThem) {
  for (const Form& form : forms_of_lines()) expect_agreement(form);
}

TEST_F(KnownHosts, AreLookedForInAllFilesAndUnderTheNameThatOpenSshTakes) {
  for (const Form& form : forms_of_files()) expect_agreement(form);
}

// Both are told of one that is known already, without KnownHostsCommand or any file before.
TEST_F(KnownHosts, TheRemedyForAKnownHostsCommandWorks) {
  write_config("  UserKnownHostsFile none\n  KnownHostsCommand /bin/true\n");
  const BackupRun refused = app_.backup();
  const std::string hint = refused.json["error"]["hint"];
  const std::size_t from = hint.find("echo '"), setting = hint.find("SSH_KNOWN_HOSTS=");
  ASSERT_NE(from, std::string::npos) << refused.words();
  ASSERT_NE(setting, std::string::npos) << refused.words();
  // Not into the home of whoever runs this.
  std::string command = hint.substr(from, hint.find(", and set", from) - from);
  command = command.substr(0, command.find(" >> ")) + " >> " + file("own");
  ASSERT_TRUE(run({"sh", "-c", command}).ok()) << command;
  app_.set("SSH_KNOWN_HOSTS", file("own"));
  EXPECT_EQ(by_litepull(), Trusted::kYes) << said_;
}

TEST_F(KnownHosts, AUserOfADomainIsLoggedInAsByItsWholeName) {
  write_file(file("one"), at_port() + " " + key() + "\n");
  for (const std::string& user : {std::string("deploy@corp.example.com"), std::string("CORP\\joe")}) {
    write_config("  User " + user + "\n");
    EXPECT_EQ(by_litepull(), Trusted::kYes);
    EXPECT_NE(said_.find("login as " + user), std::string::npos) << said_;
    write_config("");
    app_.set("SERVER_USER", user);
    EXPECT_EQ(by_litepull(), Trusted::kYes);
    EXPECT_NE(said_.find("login as " + user), std::string::npos) << said_;
    app_.set("SERVER_USER", "");
  }
  EXPECT_NE(app_.sshd().log().find("user deploy@corp.example.com"), std::string::npos) << app_.sshd().log();
}

TEST_F(KnownHosts, ALinkLocalAddressKeepsItsInterfaceAndAMissingOneIsNamed) {
  for (const bool through_config : {true, false}) {
    if (!through_config) app_.set("SSH_CONFIG", "no");
    if (!through_config) app_.set("SERVER_USER", "root");
    write_config("  HostName fe80::1%%nosuch0\n");
    app_.set("SERVER_HOST", through_config ? "app" : "fe80::1%nosuch0");
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 3) << run.words();
    EXPECT_NE(run.process.err.find("no network interface nosuch0"), std::string::npos) << run.words();
  }
  app_.set("SERVER_HOST", "fe80::1%lo");
  app_.set("CONNECT_TIMEOUT", "1");
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 3) << run.words();
  EXPECT_NE(run.process.err.find("fe80::1%lo: cannot connect"), std::string::npos) << run.words();
}

// A connection that the server answers and that says nothing more.
Fd open_idle_connection(std::uint16_t port) {
  Fd idle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(port);
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char greeting[4] = {};
  const bool is_answered =
      ::connect(idle.get(), reinterpret_cast<sockaddr*>(&there), sizeof there) == 0 &&
      ::recv(idle.get(), greeting, sizeof greeting, MSG_WAITALL) == static_cast<ssize_t>(sizeof greeting) &&
      std::string(greeting, sizeof greeting) == "SSH-";
  return is_answered ? std::move(idle) : Fd();
}

TEST(BusyServer, IsSaidToHaveClosedTheConnectionAndWhatItSaidIsShown) {
  PullFixture app(Over::kSsh);
  app.make_bank("main.sqlite3", "delete");
  const std::string config = (fs::path(app.sshd().key_path()).parent_path() / "sshd_config").string();
  std::string text = read_file(config);
  const std::string usual = "MaxStartups 1000";
  write_file(config, text.replace(text.find(usual), usual.size(), "MaxStartups 1"));
  app.sshd().restart();
  Fd idle;  // who looked whether the server is up may still have its place
  ASSERT_TRUE(eventually([&] { return static_cast<bool>(idle = open_idle_connection(app.sshd().port())); }));
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 3) << run.words();
  for (const char* word :
       {"too many connections", "fail2ban", "it said: 'Exceeded MaxStartups'", "try again later"})
    EXPECT_NE(run.process.err.find(word), std::string::npos) << run.words();
}

}  // namespace
}  // namespace litepull::test
