// One app for an end-to-end test: a storage directory, the `.env` file that names it, the workspace that its
// snapshots go to, a private sshd when it is pulled over SSH, and the programs that were built.
//
// All of it is below one temporary directory and goes with this object. Used from one thread. What cannot be
// set up throws Error{kFailed}.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/sshd_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {

// The path of a built program: below $LITEPULL_TEST_BIN, else below LITEPULL_BIN_DIR of the build.
std::string built_program(const std::string& name);

// How often a test repeats: `full` when LITEPULL_LONG=1 is in the environment, else `short_form`.
int rounds(int short_form, int full);

// What one `litepull backup --json` did.
struct BackupRun {
  ProcessResult process;
  nlohmann::json json;  // null when standard output held no JSON document

  int exit_code() const { return process.timed_out ? -1 : process.status.code; }
  std::string snapshot() const;                              // its path; empty when nothing was published
  const nlohmann::json& database(const std::string&) const;  // its entry; null when there is none
  std::string file(const std::string& database) const { return snapshot() + "/" + database; }
  std::string words() const;  // exit code, standard output and standard error, for a failed test
};

enum class Over { kSsh, kLocal };

class PullFixture {
 public:
  explicit PullFixture(Over over, const SshdOptions& options = {});

  std::string storage() const { return storage_; }
  std::string workspace() const { return dir_ / "workspace"; }
  std::string app_directory() const { return workspace() + "/" + kApp; }  // where the snapshots are
  std::string config_path() const { return dir_ / "app.env"; }
  std::string scratch(const std::string& name) const { return dir_ / name; }
  std::string in_storage(const std::string& name) const { return storage_ + "/" + name; }
  SshdFixture& sshd() { return *sshd_; }  // only when pulled over SSH

  // Sets a line of the `.env` file; an empty value removes it. Written at once.
  void set(const std::string& key, const std::string& value);
  void move_storage(const std::string& path);  // REMOTE_BACKUP_DIR; the directory must be there
  void reach_through(std::uint16_t port);      // a TcpProxy in front of the sshd; trusts its host key there

  // Added to the environment of litepull, and so of a local agent.
  void set_environment(const std::string& name, const std::string& value) { environment_[name] = value; }

  // `litepull backup --json CONFIG arguments...`, to its end.
  BackupRun backup(const std::vector<std::string>& arguments = {},
                   Milliseconds timeout = Milliseconds(120'000)) const;
  // The same in the background; standard output and standard error go to the files of finish_backup.
  Child start_backup(const std::vector<std::string>& arguments = {}) const;
  // Waits for it and collects what it said.
  BackupRun finish_backup(Child& child, Milliseconds timeout = Milliseconds(120'000)) const;

  // Any other command, e.g. {"list", "--json"}; CONFIG is appended.
  ProcessResult litepull(std::vector<std::string> arguments,
                         Milliseconds timeout = Milliseconds(120'000)) const;

  // Paths of what counts as a snapshot by its name, oldest first; and all other entries' names but those of
  // the last run's record and of the app's key.
  std::vector<std::string> snapshots() const;
  std::vector<std::string> strangers() const;

  // Started, and past the first commit. `database` is a name in the storage directory; the newest
  // acknowledged commit is read_ack(ack_path(database)), for a pair that of its first half.
  Child start_bank(const std::string& database, const std::string& journal_mode,
                   const std::vector<std::string>& options = {}) const;
  Child start_pair(const std::string& a, const std::string& b, const std::string& journal_mode,
                   const std::vector<std::string>& options = {}) const;
  std::string ack_path(const std::string& database) const;

  // A bank whose app is not running: no sidecars, at least one commit in it.
  void make_bank(const std::string& database, const std::string& journal_mode,
                 const std::vector<std::string>& options = {}) const;

 private:
  static constexpr const char* kApp = "app";

  void write_config() const;
  std::vector<std::string> backup_argv(const std::vector<std::string>& arguments) const;

  TempDir dir_;
  std::string storage_;
  std::unique_ptr<SshdFixture> sshd_;
  std::map<std::string, std::string> lines_;
  Environment environment_;
};

}  // namespace litepull::test
