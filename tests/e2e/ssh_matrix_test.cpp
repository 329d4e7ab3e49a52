// litepull logs in where `ssh` logs in with the same files, and is refused where `ssh` is refused. Each row
// runs both. A row where they differ says why, and litepull's own message must then say so.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <optional>

#include "tests/e2e/ssh_server.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

constexpr const char* kLong = "+ ";  // begins the name of a row that is run with LITEPULL_LONG=1 only

struct Row {
  std::string name;
  std::string key{};                                // SSH_KEY, and ssh's -i
  std::optional<std::vector<std::string>> agent{};  // the keys of an SSH agent
  std::string config{};                             // lines of `Host app` in SSH_CONFIG, in place of `key`
  bool ssh_gets_in = true;
  std::string litepull_says{};  // in what it refuses; empty: it gets in
};

class SshMatrix : public testing::Test {
 protected:
  SshMatrix() : app_(Over::kSsh), port_(app_.sshd().port()) {
    SQLite::Database(app_.in_storage("main.sqlite3"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("create table t(a)");
    for (int i = 0; i < 8; ++i) make_key("wrong" + std::to_string(i), {"-t", "ed25519"});
    fs::copy_file(good(), app_.scratch("locked"));
    fs::permissions(app_.scratch("locked"), fs::perms(0600));
    EXPECT_TRUE(run({"ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", app_.scratch("locked")}).ok());
    fs::copy_file(good() + ".pub", app_.scratch("half.pub"));
  }

  std::string good() { return app_.sshd().key_path(); }
  std::string wrong(int i) { return app_.scratch("wrong" + std::to_string(i)); }
  std::string make_key(const std::string& name, std::vector<std::string> options) {
    options.insert(options.begin(), {"ssh-keygen", "-q", "-N", "", "-f", app_.scratch(name)});
    EXPECT_TRUE(run(options).ok());
    return app_.scratch(name);
  }
  std::string authorized(const std::string& key) {
    const std::string path = fs::path(good()).parent_path() / "authorized_keys";
    write_file(path, read_file(path) + read_file(key + ".pub"));
    return key;
  }
  // All the wrong keys, more than a server takes, and these.
  std::vector<std::string> eight_wrong_and(const std::vector<std::string>& keys) {
    std::vector<std::string> all;
    for (int i = 0; i < 8; ++i) all.push_back(wrong(i));
    all.insert(all.end(), keys.begin(), keys.end());
    return all;
  }

  std::string agent_of(const std::vector<std::string>& keys) {
    const std::string path = app_.scratch("agent" + std::to_string(agents_.size()));
    StartOptions options;
    options.stdout_path = "/dev/null";
    agents_.emplace_back(std::vector<std::string>{"ssh-agent", "-D", "-a", path}, options);
    EXPECT_TRUE(eventually([&] { return fs::exists(path); }));
    RunOptions add;
    add.env = {{"SSH_AUTH_SOCK", path}};
    std::vector<std::string> argv{"ssh-add", "-q"};
    argv.insert(argv.end(), keys.begin(), keys.end());
    EXPECT_TRUE(keys.empty() || run(argv, add).ok());
    return path;
  }

  std::vector<std::string> ssh_of(const Row& row) {
    std::vector<std::string> argv{"ssh", "-F", row.config.empty() ? "none" : app_.scratch("ssh_config"), "-o",
                                  is_batch_ ? "BatchMode=yes" : "BatchMode=no"};
    const auto add = [&](std::vector<std::string> words) {
      argv.insert(argv.end(), words.begin(), words.end());
    };
    if (!row.key.empty()) add({"-i", row.key, "-o", "IdentitiesOnly=yes"});
    if (row.config.empty())
      add({"-p", std::to_string(port_), "-o", "UserKnownHostsFile=" + app_.sshd().known_hosts_path(),
           app_.sshd().user() + "@127.0.0.1"});
    else
      add({"app"});
    add({"true"});
    return argv;
  }

  void configure(const Row& row) {
    const bool by_alias = !row.config.empty();
    write_file(app_.scratch("ssh_config"),
               "Host app\n" + row.config + "\nHost *\n  HostName 127.0.0.1\n  Port " + std::to_string(port_) +
                   "\n  User " + app_.sshd().user() + "\n  UserKnownHostsFile " +
                   app_.sshd().known_hosts_path() + "\n  GlobalKnownHostsFile none\n");
    app_.set("SSH_KEY", row.key);
    app_.set("SERVER_HOST", by_alias ? "app" : "127.0.0.1");
    app_.set("SERVER_USER", by_alias ? "" : app_.sshd().user());
    app_.set("SERVER_PORT", by_alias ? "" : std::to_string(port_));
    app_.set("SSH_KNOWN_HOSTS", by_alias ? "" : app_.sshd().known_hosts_path());
    app_.set("SSH_CONFIG", by_alias ? app_.scratch("ssh_config") : "");
  }

  void expect_the_same(const std::vector<Row>& rows) {
    for (const Row& row : rows) expect_the_same(row);
  }
  static bool is_left_out(const std::string& name) { return name.starts_with(kLong) && rounds(0, 1) == 0; }
  void expect_the_same(const Row& row) {
    if (is_left_out(row.name)) return;
    SCOPED_TRACE(row.name);
    const std::string agent = row.agent ? agent_of(*row.agent) : "";
    configure(row);
    RunOptions options;
    options.env = {{"SSH_AUTH_SOCK", agent}};
    auto theirs = std::async(std::launch::async, [&] { return run(ssh_of(row), options); });
    app_.set_environment("SSH_AUTH_SOCK", agent);
    const BackupRun ours = app_.backup();
    const ProcessResult ssh = theirs.get();
    EXPECT_EQ(ssh.ok(), row.ssh_gets_in) << ssh.err.substr(0, 500);
    EXPECT_EQ(ours.exit_code() == 0, row.litepull_says.empty()) << ours.words();
    EXPECT_NE(ours.process.err.find(row.litepull_says), std::string::npos) << ours.words();
    ++compared_;
  }

  void use(const SshServer& server) { port_ = server.port(); }

  PullFixture app_;
  std::uint16_t port_;
  std::vector<Child> agents_;
  bool is_batch_ = true;  // in which ssh does not even begin with a question
  int compared_ = 0;
};

constexpr const char* kRefused = "was refused";
constexpr const char* kTooMany = "Too many authentication failures";

TEST_F(SshMatrix, Keys) {
  const std::string rsa = authorized(make_key("rsa", {"-t", "rsa", "-b", "2048"}));
  const std::string pem = authorized(make_key("pem", {"-t", "rsa", "-b", "2048", "-m", "PEM"}));
  const std::string pkcs8 = authorized(make_key("pkcs8", {"-t", "ecdsa", "-m", "PKCS8"}));
  expect_the_same({
      {"ed25519", good()},
      {"rsa", rsa},
      {"+ rsa in PEM", pem},
      {"+ ecdsa in PKCS8", pkcs8},
      {"another key", wrong(0), {}, "", false, kRefused},
      {"+ locked", app_.scratch("locked"), {}, "", false, "needs a passphrase"},
      {"locked, the key in the agent", app_.scratch("locked"), {{good()}}},
      {"locked, the key among many in the agent", app_.scratch("locked"), eight_wrong_and({good()})},
      {"+ locked, other keys in the agent",
       app_.scratch("locked"),
       {{wrong(0)}},
       "",
       false,
       "needs a passphrase"},
      {"public half, the key in the agent", app_.scratch("half.pub"), {{wrong(0), good()}}},
      {"+ public half alone", app_.scratch("half.pub"), {}, "", false, "only the public half"},
      {"+ public half, other keys in the agent",
       app_.scratch("half.pub"),
       {{wrong(0)}},
       "",
       false,
       "SSH agent"},
      {"+ a key that is good, many in the agent", good(), eight_wrong_and({})},
  });
}

TEST_F(SshMatrix, Agents) {
  const std::string halves = "  IdentitiesOnly yes\n  IdentityFile " + app_.scratch("half");
  expect_the_same({
      {"the key", "", {{good()}}},
      {"the key after three others", "", {{wrong(0), wrong(1), wrong(2), good()}}},
      {"+ the key before many others",
       "",
       {{good(), wrong(0), wrong(1), wrong(2), wrong(3), wrong(4), wrong(5)}}},
      {"the key after too many others", "", eight_wrong_and({good()}), "", false, kTooMany},
      {"+ no key", "", {std::vector<std::string>{}}, "", false, "login as"},
      {"another key", "", {{wrong(0)}}, "", false, kRefused},
      {"no agent", "", {}, "", false, "login as"},
      {"too many, IdentitiesOnly and the public half", "", eight_wrong_and({good()}), halves},
      {"too many, the public half named first", "", eight_wrong_and({good()}),
       "  IdentityFile " + app_.scratch("half")},
      {"IdentitiesOnly and another key",
       "",
       {{good()}},
       "  IdentitiesOnly yes\n  IdentityFile " + wrong(0),
       false,
       kRefused},
      {"+ IdentityAgent none", "", {{good()}}, "  IdentityAgent none", false, "login as"},
      {"IdentityAgent elsewhere", "", {}, "  IdentityAgent " + agent_of({good()})},
      {"+ IdentityAgent that is not there",
       "",
       {{good()}},
       "  IdentityAgent /nonexistent",
       false,
       "login as"},
  });
}

TEST_F(SshMatrix, ACertificateInTheAgent) {
  const std::string authority = make_key("authority", {"-t", "ed25519"});
  ASSERT_TRUE(
      run({"ssh-keygen", "-q", "-s", authority, "-I", "us", "-n", app_.sshd().user(), wrong(0) + ".pub"})
          .ok());
  ServerOptions options;
  options.lines = {"TrustedUserCAKeys " + authority + ".pub"};
  const SshServer server(app_.sshd(), options);
  use(server);
  expect_the_same({"a certificate", "", {{wrong(0)}}});
  expect_the_same({"+ a certificate beside the key", wrong(0), {}, "", true, "litepull supports none"});
}

TEST_F(SshMatrix, Configurations) {
  const std::string jump = "\nHost bastion\n  HostName 127.0.0.1\n  IdentityFile " + good();
  expect_the_same({
      {"an identity", "", {}, "  IdentityFile " + good()},
      {"+ the second of two identities", "", {}, "  IdentityFile " + wrong(0) + "\n  IdentityFile " + good()},
      {"a locked identity, the agent", "", {{good()}}, "  IdentityFile " + app_.scratch("locked")},
      {"+ an identity that is not there", "", {}, "  IdentityFile /nonexistent\n  IdentityFile " + good()},
      {"+ another user",
       "",
       {},
       "  User nobody-here\n  IdentityFile " + good(),
       false,
       "login as nobody-here failed"},
      {"ProxyJump", "", {}, "  ProxyJump bastion\n  IdentityFile " + good() + jump},
      {"ProxyCommand",
       "",
       {},
       "  IdentityFile " + good() + "\n  ProxyCommand ssh -F " + app_.scratch("ssh_config") +
           " -W %h:%p bastion" + jump},
      {"+ ProxyJump that does not let us in",
       "",
       {},
       "  ProxyJump nobody-here@bastion\n  IdentityFile " + good() + jump,
       false,
       "jump host"},
  });
}

TEST_F(SshMatrix, Methods) {
  const std::string second = authorized(make_key("second", {"-t", "ed25519"}));
  const std::string two_keys = "  IdentityFile " + good() + "\n  IdentityFile " + second;
  const auto with = [&](const std::vector<std::string>& lines, const Row& row) {
    if (is_left_out(row.name)) return;
    ServerOptions options;
    options.lines = lines;
    const SshServer server(app_.sshd(), options);
    use(server);
    expect_the_same(row);
  };
  with({"AuthenticationMethods publickey,publickey"},
       {"two keys, one of them here", good(), {}, "", false, "asks for another factor"});
  with({"AuthenticationMethods publickey,publickey"}, {"two keys, both here", "", {}, two_keys});
  with({"AuthenticationMethods publickey,publickey"},
       {"+ two keys, both in the agent", "", {{good(), second}}});
  with({"AuthenticationMethods publickey,password", "PasswordAuthentication yes"},
       {"a key and a password", good(), {}, "", false, "another factor (password)"});
  with({"AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes",
        "UsePAM yes"},
       {"+ a key and a question", good(), {}, "", false, "another factor (keyboard-interactive)"});
  with({"AuthenticationMethods keyboard-interactive,publickey", "KbdInteractiveAuthentication yes"},
       {"+ a question and a key", good(), {}, "", false, "takes no keys"});
  with({"PubkeyAuthentication no", "PasswordAuthentication yes"},
       {"+ passwords only", good(), {}, "", false, "takes no keys"});
  with({"MaxSessions 1"}, {"one session", good()});
  with({"MaxAuthTries 1"}, {"+ one try, the right key", good()});
  with({"MaxAuthTries 1"},
       {"one try, the right key among others", app_.scratch("locked"), eight_wrong_and({good()})});
  with({"MaxAuthTries 2"},
       {"+ two tries, the third key is right", "", {{wrong(0), wrong(1), good()}}, "", false, kTooMany});
  with({"Banner /etc/passwd"}, {"+ a banner", good()});
  with({"DenyUsers " + app_.sshd().user()}, {"+ a user who may not log in", good(), {}, "", false, kRefused});
  // Where ssh gets in, and a program of ours cannot run.
  with({"ForceCommand echo welcome"}, {"a forced command", good(), {}, "", true, "no ForceCommand"});
}

// Modules of PAM that ask nothing, and one that asks.
TEST_F(SshMatrix, OtherFactors) {
  if (!SshServer::can_have_accounts() || !fs::exists("/etc/pam.d/sshd"))
    GTEST_SKIP() << "needs root, a mount namespace and PAM";
  const auto with = [&](const std::string& methods, const std::string& module, const Row& row) {
    ServerOptions options;
    options.lines = {"AuthenticationMethods " + methods, "KbdInteractiveAuthentication yes", "UsePAM yes"};
    options.pam =
        "auth required " + module + "\naccount required pam_permit.so\nsession required pam_permit.so\n";
    const SshServer server(app_.sshd(), options);
    use(server);
    is_batch_ = false;
    expect_the_same(row);
  };
  with("publickey,keyboard-interactive", "pam_permit.so", {"a key and no question", good()});
  with("keyboard-interactive,publickey", "pam_permit.so", {"no question and a key", good()});
  with("keyboard-interactive", "pam_permit.so", {"no question", wrong(0)});
  with("publickey,keyboard-interactive", "pam_unix.so",
       {"a key and a question", good(), {}, "", false, "and asks: Password"});
}

TEST_F(SshMatrix, Noise) {
  const passwd* account = ::getpwuid(::geteuid());
  if (account == nullptr || !std::string_view(account->pw_shell).ends_with("/bash"))
    GTEST_SKIP() << "needs bash as the login shell";
  const auto with = [&](const std::string& name, const std::string& start_up,
                        const std::string& litepull_says = "") {
    if (is_left_out(name)) return;
    const SshServer server(app_.sshd(), {});
    write_file(server.home() + "/.bashrc", start_up + "\n");
    use(server);
    app_.set("IDLE_TIMEOUT", litepull_says.empty() ? "" : "1");
    expect_the_same({name, good(), {}, "", true, litepull_says});
  };
  with("no newline", "printf '\\033]0;prod\\007'");
  with("megabytes", "head -c 5000000 /dev/zero | tr '\\0' x");
  with("megabytes on stderr", "head -c 5000000 /dev/zero | tr '\\0' x >&2");
  with("reads for a moment", "read -t 0.1 x; echo \"${x:-nothing}\"");
  // ssh ends here since its standard input does; nobody has run the command.
  with("+ another shell", "exec sh", "start another shell");
  with("+ waits", "read x", "wait for input");
  with("ends", "exit 0", "the agent does not start (status 0)");
}

TEST_F(SshMatrix, Shells) {
  if (!SshServer::can_have_accounts()) GTEST_SKIP() << "needs root and a mount namespace";
  const std::string ash = app_.scratch("ash"), hello = "printf hello\n";
  fs::create_symlink("/bin/busybox", ash);
  const std::pair<std::string, std::string> shells[] = {
      {"/bin/bash", ".bashrc"}, {"/bin/dash", ".profile"},
      {"/bin/zsh", ".zshenv"},  {"/usr/bin/fish", ".config/fish/config.fish"},
      {"/bin/tcsh", ".tcshrc"}, {"/bin/csh", ".cshrc"},
      {ash, ".profile"}};
  for (const auto& [shell, start_up_file] : shells) {
    if (::access(shell.c_str(), X_OK) != 0 || (shell == "/bin/csh" && rounds(0, 1) == 0)) continue;
    ServerOptions options;
    options.shell = shell;
    const SshServer server(app_.sshd(), options);
    fs::create_directories(server.home() + "/.config/fish");
    write_file(server.home() + "/" + start_up_file, hello);
    use(server);
    expect_the_same({shell, good()});
  }
  EXPECT_GE(compared_, 2);
  ServerOptions options;
  options.shell = "/usr/sbin/nologin";
  const SshServer server(app_.sshd(), options);
  use(server);
  expect_the_same({"nologin", good(), {}, "", false, "no nologin shell"});
}

TEST_F(SshMatrix, Dropbear) {
  if (!SshServer::can_have_accounts() || !SshServer::has_dropbear())
    GTEST_SKIP() << "needs root, a mount namespace and dropbear-bin";
  ServerOptions options;
  options.is_dropbear = true;
  const std::string rsa = authorized(make_key("rsa", {"-t", "rsa", "-b", "2048"}));
  const SshServer server(app_.sshd(), options);
  use(server);
  expect_the_same({
      {"dropbear, ed25519", good()},
      {"+ dropbear, rsa", rsa},
      {"+ dropbear, the agent", "", {{wrong(0), good()}}},
      {"dropbear, another key", wrong(0), {}, "", false, kRefused},
      {"dropbear, locked, the key among many in the agent", app_.scratch("locked"),
       eight_wrong_and({good()})},
  });
  options.without_password = true;
  const SshServer open(app_.sshd(), options);
  use(open);
  expect_the_same({"dropbear, no password", wrong(0)});
}

}  // namespace
}  // namespace litepull::test
