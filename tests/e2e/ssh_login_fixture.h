// A backup over a real sshd whose login may fail or wait, with a connect timeout of one second.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;

inline void make_small_database(const std::string& path) {
  SQLite::Database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("create table t(a); insert into t values(1)");
}

class SshLogin : public testing::Test {
 protected:
  explicit SshLogin(const std::vector<std::string>& sshd_lines = {})
      : app_(Over::kSsh, with_lines(sshd_lines)) {
    app_.set("CONNECT_TIMEOUT", "1");
    app_.set_environment("SSH_AUTH_SOCK", "");
    make_small_database(app_.in_storage("main.sqlite3"));
  }

  static SshdOptions with_lines(const std::vector<std::string>& lines) {
    SshdOptions options;
    options.extra_lines = lines;
    return options;
  }

  // Ends with `exit_code`, within `limit`, with these words, and lets the next run at the app.
  BackupRun expect_failure(int exit_code, const std::vector<std::string>& words,
                           Milliseconds limit = Milliseconds(6'000)) {
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), exit_code) << run.words();
    for (const std::string& word : words)
      EXPECT_NE(run.process.err.find(word), std::string::npos) << "for want of: " << word << "\n"
                                                               << run.words();
    EXPECT_LT(run.process.duration, limit) << run.words();
    EXPECT_TRUE(app_.snapshots().empty());
    return run;
  }
  BackupRun expect_pulled() {
    BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    return run;
  }

  std::string agent_path() { return app_.scratch("agent.sock"); }
  void use_agent_alone() {
    app_.set("SSH_KEY", "");
    app_.set_environment("SSH_AUTH_SOCK", agent_path());
  }
  std::string public_key() { return app_.sshd().key_path() + ".pub"; }

  // A real agent with these keys.
  Child agent_with(const std::vector<std::string>& keys) {
    StartOptions options;
    options.stdout_path = "/dev/null";
    Child agent({"ssh-agent", "-D", "-a", agent_path()}, options);
    EXPECT_TRUE(eventually([&] { return fs::exists(agent_path()); }));
    RunOptions add;
    add.env = {{"SSH_AUTH_SOCK", agent_path()}};
    for (const std::string& key : keys) EXPECT_TRUE(run({"ssh-add", "-q", key}, add).ok()) << key;
    app_.set_environment("SSH_AUTH_SOCK", agent_path());
    return agent;
  }
  std::string new_key(const std::string& name, const std::vector<std::string>& options = {}) {
    std::vector<std::string> argv{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", app_.scratch(name)};
    argv.insert(argv.end(), options.begin(), options.end());
    EXPECT_TRUE(run(argv).ok());
    return app_.scratch(name);
  }

  void use_config(const std::string& lines) {
    write_file(app_.scratch("ssh_config"), "Host app\n  HostName 127.0.0.1\n  Port " +
                                               std::to_string(app_.sshd().port()) + "\n  User " +
                                               app_.sshd().user() + "\n  UserKnownHostsFile " +
                                               app_.sshd().known_hosts_path() + "\n" + lines);
    for (const char* key : {"SERVER_USER", "SERVER_PORT", "SSH_KEY", "SSH_KNOWN_HOSTS"}) app_.set(key, "");
    app_.set("SERVER_HOST", "app");
    app_.set("SSH_CONFIG", app_.scratch("ssh_config"));
  }

  // A run that waits ends soon after each of these, and the lock is free.
  void expect_stoppable(const std::function<bool()>& waits, const std::vector<int>& signals = {SIGTERM}) {
    app_.set("CONNECT_TIMEOUT", "60");
    for (const int signal : signals) {
      Child child = app_.start_backup();
      ASSERT_TRUE(eventually(waits));
      pause_for(Milliseconds(200));
      child.kill(signal);
      const auto status = child.wait(Milliseconds(3'000));
      ASSERT_TRUE(status.has_value()) << "signal " << signal << " did not end it";
      EXPECT_EQ(status->code, 1);
      app_.finish_backup(child);
    }
    const BackupRun late = app_.backup({"--deadline", "1"});
    EXPECT_NE(late.process.err.find("deadline has passed"), std::string::npos) << late.words();
    EXPECT_LT(late.process.duration, Milliseconds(5'000));
  }
  bool has_connected() { return !app_.sshd().session_pids().empty(); }

  PullFixture app_;
};

}  // namespace litepull::test
