#include "client/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "client/config/entries.h"
#include "client/config/near_word.h"
#include "client/config/path_text.h"
#include "client/config/ping_url.h"
#include "client/config/projects.h"
#include "common/error.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAppNameBytes = 64;
// The rest is for the names of the app, of a snapshot with its temporary prefix, and of a database.
constexpr std::size_t kMaxRootBytes = PATH_MAX - 600;
constexpr int kMaxKept = 100'000;
constexpr const char* kProxyUser = "root";  // as Kamal has it for `ssh: proxy:`

constexpr std::string_view kKeys[] = {"APP_NAME",           "WORKSPACE_DIR",    "LOCAL_BACKUP_ROOT",
                                      "SERVER_USER",        "SERVER_HOST",      "SERVER_PORT",
                                      "REMOTE_BACKUP_DIR",  "SSH_KEY",          "SSH_KNOWN_HOSTS",
                                      "TRANSPORT",          "DATABASES",        "EXCLUDE",
                                      "RETENTION_DAYS",     "CONNECT_TIMEOUT",  "IDLE_TIMEOUT",
                                      "COMPRESSION_LEVEL",  "HOLD_MAX_SECONDS", "WAL_GROWTH_MAX_MB",
                                      "BARRIER_TIMEOUT_MS", "KEEP_LAST",        "KEEP_DAILY",
                                      "KEEP_WEEKLY",        "KEEP_MONTHLY",     "KEEP_YEARLY",
                                      "KEEP_PRE_DEPLOY",    "MAX_AGE_HOURS",    "PING_URL",
                                      "NOTIFY_COMMAND",     "SSH_CONFIG",       "SSH_PROXY",
                                      "REMOTE_SUDO",        "APP_ID",           "VERIFY"};

constexpr ConfigKey kAppName{"APP_NAME", "APP_NAME=billing"};
constexpr ConfigKey kLocalBackupRoot{"LOCAL_BACKUP_ROOT", "LOCAL_BACKUP_ROOT=\"$HOME/backups\""};
constexpr ConfigKey kRemoteBackupDir{"REMOTE_BACKUP_DIR", "REMOTE_BACKUP_DIR=/var/lib/billing/storage"};
constexpr ConfigKey kServerUser{"SERVER_USER", "SERVER_USER=deploy"};
constexpr ConfigKey kServerHost{"SERVER_HOST", "SERVER_HOST=billing.example.com"};

// Fills a configuration from the parsed file. Only the methods named read_* change it.
class Reader : private Entries {
 public:
  Reader(const std::string& path, EnvFile env, const Environment& environment);
  Config read() &&;

 private:
  void read_identity();
  void read_server();
  void read_local_directories();
  void read_remote_directory();
  void read_ssh_files();
  void read_ssh_config();
  void read_ssh_proxy();
  void read_remote_sudo();
  void read_choice_of_databases();
  void read_policy();
  void read_verify();
  void read_numbers();
  void read_reports();
  void read_unknown_keys();
  void read_transport();

  const EnvAssignment* required_for_ssh(const ConfigKey& key) const;
  std::string ssh_path(const EnvAssignment& entry) const;
  std::string ssh_file(const EnvAssignment& entry) const;

  const Environment& environment_;
  Config config_;
};

Reader::Reader(const std::string& path, EnvFile env, const Environment& environment)
    : Entries(path, std::move(env)), environment_(environment) {
  config_.file = path;
  config_.warnings = warnings();
}

// The order matters: the transport decides which keys are required, and relative paths start from the
// workspace.
Config Reader::read() && {
  read_identity();
  read_transport();
  read_local_directories();
  read_ssh_config();
  read_server();
  read_remote_directory();
  read_choice_of_databases();
  read_policy();
  read_verify();
  read_numbers();
  read_reports();
  read_ssh_files();
  read_ssh_proxy();
  read_remote_sudo();
  read_unknown_keys();
  return std::move(config_);
}

void Reader::read_identity() {
  const EnvAssignment& entry = required(kAppName);
  const std::string& name = entry.value;
  if (name.size() > kMaxAppNameBytes || !is_word(name.substr(0, 1), "") || !is_word(name, "._-"))
    refuse(entry, "must be letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64",
           "choose a plain name; snapshots go to LOCAL_BACKUP_ROOT/APP_NAME: APP_NAME=billing");
  config_.app_name = name;
  const EnvAssignment* id = find_filled("APP_ID");
  if (id != nullptr && !is_app_id(id->value))
    refuse(*id, "must be letters, digits, '.', '_' and '-', at most 64",
           "write what `openssl rand -hex 16` prints, or remove the line");
  if (id != nullptr) config_.app_id = id->value;
}

void Reader::read_transport() {
  const EnvAssignment* entry = find("TRANSPORT");
  if (entry == nullptr || entry->value == "ssh") return;
  if (entry->value != "local")
    refuse(*entry, "must be 'ssh' or 'local'", "write TRANSPORT=ssh, or remove the line");
  config_.transport = Transport::kLocal;
}

void Reader::read_server() {
  const EnvAssignment* user = config_.ssh_config ? find_filled("SERVER_USER") : required_for_ssh(kServerUser);
  if (user != nullptr) {
    if (!is_user(user->value))
      refuse(*user, std::string(kUserRule),
             "write the name you log in with, such as SERVER_USER=deploy or SERVER_USER='name@domain'");
    config_.server_user = user->value;
  }
  if (const EnvAssignment* entry = required_for_ssh(kServerHost)) config_.server_host = host(*entry);
  config_.server_port = static_cast<std::uint16_t>(number("SERVER_PORT", 1, 65535, config_.server_port));
  config_.server_port_given = find("SERVER_PORT") != nullptr;
}

void Reader::read_local_directories() {
  if (const EnvAssignment* workspace = find_filled("WORKSPACE_DIR")) {
    require_path(*workspace);
    if (!workspace->value.starts_with('/'))
      refuse(*workspace, "must be absolute",
             "start it with '/' or \"$HOME/\"; '~' counts only outside quotes");
    config_.workspace_dir = without_end_slashes(workspace->value);
  }
  const EnvAssignment& root = required(kLocalBackupRoot);
  require_path(root);
  if (is_in_home(root.value))
    refuse(root, "has a '~' in quotes, which stays a '~'", "write \"$HOME/...\", or '~' outside the quotes");
  const bool absolute = root.value.starts_with('/');
  if (!absolute && config_.workspace_dir.empty())
    refuse(root, "must be absolute when WORKSPACE_DIR is not set",
           "start it with '/' or \"$HOME/\", or set WORKSPACE_DIR");
  config_.local_backup_root =
      without_end_slashes(absolute ? root.value : joined_path(config_.workspace_dir, root.value));
  if (config_.local_backup_root.size() > kMaxRootBytes)
    refuse(root,
           "has " + std::to_string(config_.local_backup_root.size()) + " bytes, and no more than " +
               std::to_string(kMaxRootBytes) + " leave room for the snapshots' own paths",
           "take a directory with a shorter path");
}

void Reader::read_remote_directory() {
  const EnvAssignment& entry = required(kRemoteBackupDir);
  require_path(entry);
  if (config_.transport == Transport::kLocal && !entry.value.starts_with('/'))
    refuse(entry, "must be absolute when TRANSPORT is 'local'", "start it with '/' or \"$HOME/\"");
  if (config_.transport == Transport::kSsh && entry.tilde_expanded)
    config_.warnings.push_back(at(entry) +
                               "REMOTE_BACKUP_DIR begins with '~' outside quotes, which is this " +
                               "machine's home directory; for the server's write '~/...' in quotes");
  config_.remote_backup_dir = entry.value;
}

void Reader::read_ssh_files() {
  if (const EnvAssignment* key = find_filled("SSH_KEY")) {
    // If only PATH.pub is here, the SSH agent may have the key.
    const std::string path = ssh_path(*key);
    const bool is_half = ::access(path.c_str(), F_OK) != 0 && ::access((path + ".pub").c_str(), R_OK) == 0;
    config_.ssh_key = is_half ? path + ".pub" : ssh_file(*key);
  }
  if (const EnvAssignment* hosts = find_filled("SSH_KNOWN_HOSTS")) config_.ssh_known_hosts = ssh_file(*hosts);
}

void Reader::read_ssh_config() {
  const EnvAssignment* entry = find_filled("SSH_CONFIG");
  if (entry == nullptr || entry->value == "no") return;
  config_.ssh_config = entry->value == "yes" ? "" : ssh_path(*entry);
  if (!config_.ssh_config->empty() && config_.transport == Transport::kSsh)
    require_trusted_file(*entry, *config_.ssh_config);
}

void Reader::read_ssh_proxy() {
  const EnvAssignment* entry = find_filled("SSH_PROXY");
  if (entry == nullptr) return;
  const std::optional<SshProxy> proxy = parse_hop(entry->value);
  if (!proxy)
    refuse(*entry, "must be [USER@]HOST[:PORT]",
           "write one jump host, as in Kamal's ssh/proxy: SSH_PROXY=root@bastion.example.com");
  config_.ssh_proxy = proxy;
  if (config_.ssh_proxy->user.empty()) config_.ssh_proxy->user = kProxyUser;
}

void Reader::read_remote_sudo() {
  const EnvAssignment* entry = find_filled("REMOTE_SUDO");
  if (entry == nullptr) return;
  if (entry->value != "yes" && entry->value != "no")
    refuse(*entry, "must be 'yes' or 'no'", "write REMOTE_SUDO=yes, or remove the line");
  config_.remote_sudo = entry->value == "yes";
  if (config_.remote_sudo && !config_.remote_backup_dir.starts_with('/'))
    refuse(required(kRemoteBackupDir), "must be absolute when REMOTE_SUDO is 'yes'",
           "write the whole path: sudo's rule names that directory, and lets the agent work in no other");
}

void Reader::read_choice_of_databases() {
  if (const EnvAssignment* databases = find("DATABASES")) config_.databases = globs(*databases);
  if (const EnvAssignment* exclude = find_filled("EXCLUDE")) config_.exclude = globs(*exclude);
}

// Without any of these keys only the default number of days counts. With counts alone there is no limit of
// days.
void Reader::read_policy() {
  auto count = [&](std::string_view name) { return number(name, 0, kMaxKept, 0); };
  Policy& policy = config_.policy;
  policy.keep_last = count("KEEP_LAST");
  policy.keep_daily = count("KEEP_DAILY");
  policy.keep_weekly = count("KEEP_WEEKLY");
  policy.keep_monthly = count("KEEP_MONTHLY");
  policy.keep_yearly = count("KEEP_YEARLY");
  policy.keep_pre_deploy = number("KEEP_PRE_DEPLOY", 1, kMaxKept).value_or(policy.keep_pre_deploy);
  const bool counts =
      policy.keep_last + policy.keep_daily + policy.keep_weekly + policy.keep_monthly + policy.keep_yearly >
      0;
  const std::optional<int> days = number("RETENTION_DAYS", 1, 36500);
  if (days) policy.retention_days = *days;
  if (!days && counts) policy.retention_days.reset();
}

void Reader::read_verify() {
  const EnvAssignment* entry = find_filled("VERIFY");
  if (entry == nullptr) return;
  const auto mode = parse_verify_mode(entry->value);
  if (!mode) refuse(*entry, std::string("must be ") + kVerifyModes, "write VERIFY=full, or remove the line");
  config_.verify = *mode;
}

void Reader::read_numbers() {
  config_.connect_timeout_s = number("CONNECT_TIMEOUT", 1, 3600, config_.connect_timeout_s);
  config_.idle_timeout_s = number("IDLE_TIMEOUT", 1, 86400, config_.idle_timeout_s);
  config_.compression_level = number("COMPRESSION_LEVEL", kMinLevel, kMaxLevel);
  config_.hold_max_s = number("HOLD_MAX_SECONDS", 1, static_cast<int>(kMaxHoldMs / 1000), config_.hold_max_s);
  config_.wal_growth_max_mb =
      number("WAL_GROWTH_MAX_MB", 1, static_cast<int>(kMaxWalGrowthBytes >> 20), config_.wal_growth_max_mb);
  // The locks taken so far are held while the next is awaited, so writers feel every millisecond.
  config_.barrier_ms = number("BARRIER_TIMEOUT_MS", 0, static_cast<int>(kMaxBarrierMs), config_.barrier_ms);
  config_.max_age_hours = number("MAX_AGE_HOURS", 1, 24 * 36500, config_.max_age_hours);
}

// Neither is shown: anybody who knows the URL can ping it, and a command may hold a password.
void Reader::read_reports() {
  if (const EnvAssignment* url = find_filled("PING_URL")) {
    if (const std::string why = why_not_pingable(url->value); !why.empty())
      throw Error(ErrorKind::kConfiguration, at(*url) + "PING_URL " + why,
                  "copy it from the monitoring service, such as PING_URL='https://hc-ping.com/...'");
    config_.ping_url = url->value;
  }
  if (const EnvAssignment* command = find_filled("NOTIFY_COMMAND")) {
    if (!is_clean_utf8(command->value))
      throw Error(ErrorKind::kConfiguration,
                  at(*command) + "NOTIFY_COMMAND holds control characters or is not UTF-8",
                  "put what it does into a script, and name that");
    config_.notify_command = command->value;
  }
}

// Only a warning, since files of the old script may have names that only the script read. A variable that
// later lines use gets none, unless its name is nearly that of a key.
void Reader::read_unknown_keys() {
  for (const EnvAssignment& entry : all()) {
    if (is_known(entry.name)) continue;
    const std::string_view meant = near_word(entry.name, kKeys);
    if (meant.empty() && entry.referenced) continue;
    std::string warning = at(entry) + entry.name + " is not a key of litepull";
    if (!meant.empty()) warning += "; did you mean " + std::string(meant) + "?";
    config_.warnings.push_back(std::move(warning));
  }
}

// Null only when the transport does not need the key and the file does not set it.
const EnvAssignment* Reader::required_for_ssh(const ConfigKey& key) const {
  return config_.transport == Transport::kSsh ? &required(key) : find_filled(key.name);
}

std::string Reader::ssh_file(const EnvAssignment& entry) const {
  std::string path = ssh_path(entry);
  if (config_.transport == Transport::kSsh) require_readable_file(entry, path);
  return path;
}

std::string Reader::ssh_path(const EnvAssignment& entry) const {
  require_path(entry);
  std::string path = entry.value;
  if (is_in_home(path)) {
    const auto home = environment_.find("HOME");
    if (home == environment_.end())
      refuse(entry, "begins with '~', but HOME is not set", "write it absolute");
    path.replace(0, 1, home->second);
  }
  if (!path.starts_with('/') && config_.workspace_dir.empty())
    refuse(entry, "must be absolute when WORKSPACE_DIR is not set", "start it with '/' or '~/'");
  return path.starts_with('/') ? path : joined_path(config_.workspace_dir, path);
}

}  // namespace

Config load_config(const std::string& path, const Environment& environment) {
  const std::string file = config_file(path);
  require_named_config(file);
  return parse_config(read_env_text(file), file, environment);
}

Config parse_config(std::string_view text, const std::string& path, const Environment& environment) {
  EnvFile env = parse_env(text, printable(path), environment);
  return Reader(path, std::move(env), environment).read();
}

std::span<const std::string_view> config_keys() {
  return kKeys;
}

std::uint64_t patience_us(int idle_timeout_s) {
  return std::uint64_t{10'000'000} * static_cast<unsigned>(idle_timeout_s);
}

}  // namespace litepull
