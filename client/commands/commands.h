// The commands as a user types them: what each does with its configurations, and how the result is shown.
// Results go to stdout, progress and logs to stderr; each function returns the process's exit code.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/config/env_file.h"
#include "client/diff/diff.h"
#include "client/pull/backup.h"
#include "client/restore/local.h"
#include "client/restore/run_on_restored.h"
#include "client/sandbox/check_file.h"

namespace litepull {

struct CommonOptions {
  std::vector<std::string> configs;
  Environment environment;
  bool json = false;
  bool quiet = false;
  std::string log_file;  // empty: none
};

struct BackupCommand {
  CommonOptions common;
  BackupOptions options;             // but for `verify`
  std::optional<VerifyMode> verify;  // in place of what the configuration says
  int parallel = 2;
  int deadline_s = 0;  // 0: none
};

struct CheckCommand {
  CommonOptions common;    // one configuration
  std::string agent_path;  // as find_agent takes it
};

struct CleanupCommand {
  CommonOptions common;
  bool dry_run = false;
  bool yes = false;  // all at once, as a person says: see client/nightly/prune_guard.h
};

struct PinCommand {
  CommonOptions common;  // one configuration
  std::string snapshot;  // a word for it, see client/store/select_snapshot.h
  bool pinned = true;
};

struct VerifyCommand {
  CommonOptions common;             // one configuration
  std::string snapshot = "latest";  // a word for it, or "all"
  CheckDepth depth = CheckDepth::kFull;
  TrialOptions trial;
};

struct RestoreCommand {
  CommonOptions common;  // one configuration
  std::string snapshot;  // as client/store/select_snapshot.h takes it
  RestoreChoice choice;
  LocalTarget local;
};

struct OpenCommand {
  std::string config;
  std::string snapshot = "latest";
  std::string database;                      // empty: the one that stands out
  std::vector<std::string> shell_arguments;  // for sqlite3
  Environment environment;
};

struct DiffCommand {
  CommonOptions common;  // one configuration
  DiffOptions options;
};

struct StatusCommand {
  CommonOptions common;
  bool all = false;  // in place of the configurations: those in `projects`
  std::string projects;
  bool nagios = false;          // the exit code is then Nagios's, too
  std::string prometheus_file;  // empty: none
};

int backup_command(const BackupCommand& command);
int list_command(const CommonOptions& options);
int check_command(const CheckCommand& command);
int cleanup_command(const CleanupCommand& command);
int pin_command(const PinCommand& command);
int verify_command(const VerifyCommand& command);
int open_command(const OpenCommand& command);  // the shell's exit status
int restore_command(const RestoreCommand& command);
int diff_command(const DiffCommand& command);
int status_command(const StatusCommand& command);

}  // namespace litepull
