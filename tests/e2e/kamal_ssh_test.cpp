// Where `ssh` can log in with what Kamal's file and OpenSSH's configuration say, `init` and `backup` can,
// too. Elsewhere neither can.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/sshd_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

struct Form {
  const char* name;
  std::string ssh;                // of deploy.yml, in {}; CONFIG is the path of the file below
  std::string config;             // OpenSSH's
  std::vector<std::string> asks;  // what `ssh` is given for the same, before the host
  std::string host = "app";
};

class KamalSsh : public testing::Test {
 protected:
  KamalSsh() : app_(Over::kSsh) {
    app_.make_bank("production.sqlite3", "wal", {"--rate", "20"});
    write_file(fs::path(jump_.key_path()).parent_path() / "authorized_keys", read_file(key() + ".pub"));
    write_file(known_hosts(), read_file(known_hosts()) + jump_.known_hosts_line());
  }

  std::string key() { return app_.sshd().key_path(); }
  std::string user() { return app_.sshd().user(); }
  std::string port() { return std::to_string(app_.sshd().port()); }
  std::string jump_port() const { return std::to_string(jump_.port()); }
  std::string known_hosts() { return app_.sshd().known_hosts_path(); }
  std::string config() { return app_.scratch("ssh_config"); }

  bool ssh_gets_in(const Form& form) {
    std::vector<std::string> argv{"ssh",
                                  "-F",
                                  config(),
                                  "-o",
                                  "UserKnownHostsFile=" + known_hosts(),
                                  "-o",
                                  "BatchMode=yes",
                                  "-o",
                                  "StrictHostKeyChecking=yes"};
    argv.insert(argv.end(), form.asks.begin(), form.asks.end());
    argv.insert(argv.end(), {form.host, "true"});
    return run(argv).status.code == 0;
  }

  ProcessResult init_and_backup(const Form& form) {
    std::string ssh = form.ssh;
    if (const std::size_t at = ssh.find("CONFIG"); at != std::string::npos) ssh.replace(at, 6, config());
    const std::string project = app_.scratch(std::string("project-") + form.name);
    write_file(project + "/config/deploy.yml", "service: billing\nservers: ['" + form.host +
                                                   "']\nvolumes: ['" + app_.storage() +
                                                   ":/rails/storage']\nssh: {" + ssh + "}\n");
    const ProcessResult init =
        run({"sh", "-c", "cd \"$0\" && exec \"$1\" init --workspace w", project, built_program("litepull")});
    if (init.status.code != 0) return init;
    const std::string env = project + "/config/projects/billing.env";
    write_file(env, read_file(env) + "SSH_KNOWN_HOSTS=" + known_hosts() + "\nCONNECT_TIMEOUT=5\n");
    return run({built_program("litepull"), "backup", env});
  }

  PullFixture app_;
  SshdFixture jump_;
};

TEST_F(KamalSsh, WhereSshGetsInSoDoInitAndBackup) {
  const std::string port_line = "  Port " + port() + "\n", key_line = "  IdentityFile " + key() + "\n",
                    user_line = "  User " + user() + "\n", app = "Host app\n  HostName 127.0.0.1\n",
                    whole = app + port_line + key_line + user_line,
                    jumps = "Host bastion\n  HostName 127.0.0.1\n  Port " + jump_port() +
                            "\n  UserKnownHostsFile " + known_hosts() + "\n" + key_line + user_line;
  const std::string config = "config: CONFIG", at_jump = user() + "@127.0.0.1:" + jump_port();
  const std::vector<std::string> as_user{"-l", user()}, at_port{"-p", port()};
  const Form forms[] = {
      {"alias", config, whole, {}},
      {"alias_list", "config: [CONFIG]", whole, {}},
      {"user_of_kamal", config + ", user: " + user(), app + port_line + key_line + "  User nobody\n",
       as_user},
      {"wrong_user_of_kamal", config + ", user: nobody-here", whole, {"-l", "nobody-here"}},
      {"port_of_kamal", config + ", port: " + port(), app + key_line + user_line + "  Port 1\n", at_port},
      {"wrong_port_of_kamal", config + ", port: 1", whole, {"-p", "1"}},
      {"no_user_anywhere", config, app + port_line + key_line, {"-l", "root"}},
      {"key_of_kamal", config + ", keys: ['" + key() + "']", app + port_line + user_line, {"-i", key()}},
      {"keys_only",
       config + ", keys_only: true, keys: ['" + key() + "']",
       app + port_line + user_line,
       {"-i", key(), "-o", "IdentitiesOnly=yes"}},
      {"missing_key_of_kamal", config + ", keys: ['/nowhere/key']", whole, {}},
      {"second_key_of_kamal",
       config + ", keys: ['/nowhere/key', '" + key() + "']",
       app + port_line + user_line,
       {"-i", key()}},
      {"other_key",
       config + ", keys_only: true, keys: ['" + app_.sshd().other_key_path() + "']",
       app + port_line + user_line,
       {"-i", app_.sshd().other_key_path(), "-o", "IdentitiesOnly=yes"}},
      {"jump_in_config", config, whole + "  ProxyJump bastion\n" + jumps, {}},
      {"jump_of_kamal",
       config + ", proxy: '" + at_jump + "'",
       whole + "Host *\n" + key_line,
       {"-o", "ProxyCommand=ssh -F " + this->config() + " -o UserKnownHostsFile=" + known_hosts() + " -p " +
                  jump_port() + " -W %h:%p " + user() + "@127.0.0.1"}},
      {"proxy_command_that_jumps",
       config + ", proxy_command: 'ssh -p " + jump_port() + " -W %h:%p " + user() + "@127.0.0.1'",
       whole + "Host *\n" + key_line,
       {"-o", "ProxyCommand=ssh -F " + this->config() + " -o UserKnownHostsFile=" + known_hosts() + " -p " +
                  jump_port() + " -W %h:%p " + user() + "@127.0.0.1"}},
      {"proxy_command_in_config", config, whole + "  ProxyCommand busybox nc %h %p\n", {}},
      {"pattern", config, "Host 127.*\n" + port_line + key_line + user_line, {}, "127.0.0.1"},
      {"match",
       config,
       "Match originalhost app\n  HostName 127.0.0.1\n" + port_line + key_line + user_line,
       {}},
      {"include", config, "Include " + app_.scratch("included") + "\n", {}},
      {"unknown_alias", config, "Host other\n  HostName 127.0.0.1\n", {}},
      {"without_config",
       "config: false, user: '" + user() + "', port: " + port() + ", keys: ['" + key() + "']",
       "",
       {"-F", "none", "-l", user(), "-p", port(), "-i", key()},
       "127.0.0.1"},
      {"secret_keys", config + ", key_data: [SECRET]", whole, {}},
  };
  write_file(app_.scratch("included"), whole);
  int in = 0;
  for (const Form& form : forms) {
    write_file(this->config(), form.config);
    const bool gets_in = ssh_gets_in(form);
    const ProcessResult result = init_and_backup(form);
    EXPECT_EQ(result.status.code == 0, gets_in) << form.name << "\n" << result.out << result.err;
    in += gets_in ? 1 : 0;
  }
  EXPECT_GE(in, 15) << "too few forms that get in at all";
}

}  // namespace
}  // namespace litepull::test
