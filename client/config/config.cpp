#include "client/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "client/config/near_word.h"
#include "client/config/ping_url.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAppNameBytes = 64;
constexpr std::size_t kMaxPathBytes = 4096;
// Below it: the app's name, a snapshot's with what is put before it for a while, and a database's.
constexpr std::size_t kMaxRootBytes = PATH_MAX - 600;
constexpr std::size_t kMaxGlobs = 64;
constexpr std::size_t kMaxGlobBytes = 255;
constexpr std::size_t kMaxShownBytes = 120;
constexpr int kMaxKept = 100'000;
constexpr const char* kProxyUser = "root";  // as Kamal has it for `ssh: proxy:`

struct Key {
  std::string_view name;
  const char* example;
};

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

constexpr Key kAppName{"APP_NAME", "APP_NAME=billing"};
constexpr Key kLocalBackupRoot{"LOCAL_BACKUP_ROOT", "LOCAL_BACKUP_ROOT=\"$HOME/backups\""};
constexpr Key kRemoteBackupDir{"REMOTE_BACKUP_DIR", "REMOTE_BACKUP_DIR=/var/lib/billing/storage"};
constexpr Key kServerUser{"SERVER_USER", "SERVER_USER=deploy"};
constexpr Key kServerHost{"SERVER_HOST", "SERVER_HOST=billing.example.com"};

bool is_in_home(std::string_view path) {
  return path == "~" || path.starts_with("~/");
}

std::string shown(std::string_view value) {
  return "'" + printable(short_text(value, kMaxShownBytes)) + "'";
}

std::string joined(const std::string& directory, const std::string& path) {
  return directory.ends_with('/') ? directory + path : directory + "/" + path;
}

std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
    if (text.empty()) return parts;
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// Whether `inner` is `outer` or lies below it, by what the file system says of each directory on the way up.
// What does not exist yet is where it would be made.
bool is_within(const std::string& inner, const std::string& outer) {
  struct stat wanted {};
  struct stat status {};
  if (::stat(outer.c_str(), &wanted) != 0) return false;
  std::error_code failed;
  std::filesystem::path path = std::filesystem::weakly_canonical(inner, failed);
  for (;; path = path.parent_path()) {
    if (::stat(path.c_str(), &status) == 0 && status.st_dev == wanted.st_dev &&
        status.st_ino == wanted.st_ino)
      return true;
    if (!path.has_relative_path()) return false;
  }
}

bool is_known(std::string_view name) {
  return std::find(std::begin(kKeys), std::end(kKeys), name) != std::end(kKeys);
}

// Reads each key out of the parsed file. Methods named read_* fill the configuration, all others only look.
class Reader {
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

  const EnvAssignment* find(std::string_view name) const;
  const EnvAssignment* find_filled(std::string_view name) const;
  const EnvAssignment& required(const Key& key) const;
  const EnvAssignment* required_for_ssh(const Key& key) const;
  std::string ssh_path(const EnvAssignment& entry) const;
  void require_trusted_file(const EnvAssignment& entry, const std::string& path) const;
  std::string host(const EnvAssignment& entry) const;
  static std::string hint_for_host(const std::string& name);
  std::string ssh_file(const EnvAssignment& entry) const;
  void require_readable_file(const EnvAssignment& entry, const std::string& path) const;
  std::vector<std::string> globs(const EnvAssignment& entry) const;
  void require_glob(const EnvAssignment& entry, const std::string& glob) const;
  void require_path(const EnvAssignment& entry) const;
  std::optional<int> number(std::string_view name, int least, int most) const;
  int number(std::string_view name, int least, int most, int otherwise) const;

  [[noreturn]] void missing(const Key& key) const;
  [[noreturn]] void refuse(const EnvAssignment& entry, const std::string& rule,
                           const std::string& hint) const;
  std::string at(const EnvAssignment& entry) const { return file_ + ":" + std::to_string(entry.line) + ": "; }

  const std::string file_;  // safe to print
  const EnvFile env_;
  const Environment& environment_;
  Config config_;
};

Reader::Reader(const std::string& path, EnvFile env, const Environment& environment)
    : file_(printable(path)), env_(std::move(env)), environment_(environment) {
  config_.file = path;
  config_.warnings = env_.warnings;
}

// The order is that of what depends on what: the transport decides which keys are required, and the
// workspace is what relative paths start from.
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
      without_end_slashes(absolute ? root.value : joined(config_.workspace_dir, root.value));
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
    // Where only PATH.pub is here, the SSH agent may have the key.
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

// Days alone when nothing is said; counts alone when only they are.
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
  config_.compression_level = number("COMPRESSION_LEVEL", -7, 19);
  config_.hold_max_s = number("HOLD_MAX_SECONDS", 1, 86400, config_.hold_max_s);
  config_.wal_growth_max_mb = number("WAL_GROWTH_MAX_MB", 1, 1024 * 1024, config_.wal_growth_max_mb);
  // A lock that is had already is held while the next is waited for: writers feel every millisecond.
  config_.barrier_ms = number("BARRIER_TIMEOUT_MS", 0, 10000, config_.barrier_ms);
  config_.max_age_hours = number("MAX_AGE_HOURS", 1, 24 * 36500, config_.max_age_hours);
}

// Whoever knows the URL can ping it, and a command may hold a password: neither is shown.
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

// A warning only, since the old script's files may hold what only the script read. A variable that later
// lines are made from is in use, unless its name is nearly that of a key.
void Reader::read_unknown_keys() {
  for (const EnvAssignment& entry : env_.assignments) {
    if (is_known(entry.name)) continue;
    const std::string_view meant = near_word(entry.name, kKeys);
    if (meant.empty() && entry.referenced) continue;
    std::string warning = at(entry) + entry.name + " is not a key of litepull";
    if (!meant.empty()) warning += "; did you mean " + std::string(meant) + "?";
    config_.warnings.push_back(std::move(warning));
  }
}

const EnvAssignment* Reader::find(std::string_view name) const {
  for (const EnvAssignment& entry : env_.assignments)
    if (entry.name == name) return &entry;
  return nullptr;
}

const EnvAssignment* Reader::find_filled(std::string_view name) const {
  const EnvAssignment* entry = find(name);
  return entry == nullptr || entry->value.empty() ? nullptr : entry;
}

const EnvAssignment& Reader::required(const Key& key) const {
  const EnvAssignment* entry = find(key.name);
  if (entry == nullptr) missing(key);
  if (entry->value.empty())
    throw Error(ErrorKind::kConfiguration, at(*entry) + entry->name + " is empty",
                std::string("give it a value, for example: ") + key.example);
  return *entry;
}

// Null only when the transport does not need the key and the file does not set it.
const EnvAssignment* Reader::required_for_ssh(const Key& key) const {
  return config_.transport == Transport::kSsh ? &required(key) : find_filled(key.name);
}

std::string Reader::hint_for_host(const std::string& name) {
  const std::size_t colon = name.find(':'), percent = name.find('%');
  if (name.find('@') != std::string::npos) return "write the host alone; the user goes in SERVER_USER";
  if (percent != std::string::npos)
    return "behind '%' goes the name of this machine's network interface: SERVER_HOST='fe80::1%eth0'";
  if (colon == std::string::npos) return "write the name alone, without a path or blanks";
  if (name.find(':', colon + 1) != std::string::npos)
    return "it has the colons of an IPv6 address, and is none; a port goes in SERVER_PORT";
  return "put the port in SERVER_PORT: SERVER_HOST=billing.example.com and SERVER_PORT=2222";
}

std::string Reader::host(const EnvAssignment& entry) const {
  std::string name = entry.value;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (!is_host(name)) refuse(entry, "must be a host name or an IP address", hint_for_host(name));
  return name;
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
  return path.starts_with('/') ? path : joined(config_.workspace_dir, path);
}

void Reader::require_readable_file(const EnvAssignment& entry, const std::string& path) const {
  const std::string found = " (" + printable(path) + ")";
  const Fd fd(
      retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  if (!fd) {
    const std::string cause = std::strerror(errno);
    refuse(entry, "cannot be opened" + found + ": " + cause,
           "check the path, and that you may read that file");
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    refuse(entry, "is not a regular file" + found, "name the file itself, such as ~/.ssh/id_ed25519");
}

// What such a file may name is run. OpenSSH looks at its own file in this way, but not at one after -F.
void Reader::require_trusted_file(const EnvAssignment& entry, const std::string& path) const {
  require_readable_file(entry, path);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) refuse(entry, "cannot be looked at", "check the path");
  if ((info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    refuse(entry, "could be changed by others, and may name commands to run",
           "it must be yours: chown it to yourself, and chmod 600 it");
}

std::vector<std::string> Reader::globs(const EnvAssignment& entry) const {
  std::vector<std::string> patterns = split(entry.value, " \t");
  if (patterns.empty()) refuse(entry, "holds no pattern", "name one, or remove the line for the default");
  if (patterns.size() > kMaxGlobs)
    refuse(entry, "holds more than 64 patterns", "say it with fewer, wider ones");
  for (const std::string& pattern : patterns) require_glob(entry, pattern);
  return patterns;
}

// What could never match a database is refused too: it would silently choose nothing.
void Reader::require_glob(const EnvAssignment& entry, const std::string& glob) const {
  if (glob.size() > kMaxGlobBytes) refuse(entry, "holds a pattern of more than 255 bytes", "use '*'");
  if (!is_clean_utf8(glob)) refuse(entry, "holds bytes that are not plain text", "save the file as UTF-8");
  if (glob.starts_with('/'))
    refuse(entry, "holds a pattern that starts with '/'",
           "patterns start at REMOTE_BACKUP_DIR: remove the '/'");
  if (glob.ends_with('/') || glob.find("//") != std::string::npos)
    refuse(entry, "holds a pattern with an empty name between or after '/'",
           "for all below write directory/**");
  for (const std::string& part : split(glob, "/"))
    if (part == "." || part == "..")
      refuse(entry, "holds a pattern with '" + part + "' for a directory",
             "patterns start at REMOTE_BACKUP_DIR and stay below it: remove '" + part + "/'");
}

void Reader::require_path(const EnvAssignment& entry) const {
  if (!is_clean_utf8(entry.value))
    refuse(entry, "holds control characters or is not UTF-8", "retype the path, and save the file as UTF-8");
  if (entry.value.size() > kMaxPathBytes) refuse(entry, "is longer than a path can be", "check the line");
}

std::optional<int> Reader::number(std::string_view name, int least, int most) const {
  const EnvAssignment* entry = find(name);
  if (entry == nullptr) return std::nullopt;
  const std::string& text = entry->value;
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most)
    refuse(*entry, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
           "write digits only, or remove the line for the default");
  return value;
}

int Reader::number(std::string_view name, int least, int most, int otherwise) const {
  return number(name, least, most).value_or(otherwise);
}

void Reader::missing(const Key& key) const {
  std::string hint = std::string("add a line such as: ") + key.example;
  for (const EnvAssignment& entry : env_.assignments)
    if (!is_known(entry.name) && near_word(entry.name, kKeys) == key.name)
      hint = "line " + std::to_string(entry.line) + " sets " + entry.name + "; did you mean " +
             std::string(key.name) + "?";
  throw Error(ErrorKind::kConfiguration, file_ + ": " + std::string(key.name) + " is missing", hint);
}

void Reader::refuse(const EnvAssignment& entry, const std::string& rule, const std::string& hint) const {
  throw Error(ErrorKind::kConfiguration, at(entry) + entry.name + " " + shown(entry.value) + " " + rule,
              hint);
}

}  // namespace

Config load_config(const std::string& path, const Environment& environment) {
  return parse_config(read_env_text(path), path, environment);
}

Config parse_config(std::string_view text, const std::string& path, const Environment& environment) {
  EnvFile env = parse_env(text, printable(path), environment);
  return Reader(path, std::move(env), environment).read();
}

void require_apart(const Config& config) {
  if (config.transport != Transport::kLocal) return;
  const std::string& root = config.local_backup_root;
  const std::string& storage = config.remote_backup_dir;
  const bool root_inside = is_within(root, storage);
  if (!root_inside && !is_within(storage, root)) return;
  const std::string outer = root_inside ? "REMOTE_BACKUP_DIR " : "LOCAL_BACKUP_ROOT ";
  const std::string inner = root_inside ? "LOCAL_BACKUP_ROOT " : "REMOTE_BACKUP_DIR ";
  throw Error(ErrorKind::kConfiguration,
              printable(config.file) + ": " + inner + printable(root_inside ? root : storage) +
                  " is inside " + outer + printable(root_inside ? storage : root) +
                  ": snapshots would be taken of snapshots",
              "set LOCAL_BACKUP_ROOT to a directory that has nothing to do with the storage directory, and "
              "move the snapshots there");
}

std::span<const std::string_view> config_keys() {
  return kKeys;
}

std::uint64_t patience_us(int idle_timeout_s) {
  return std::uint64_t{10'000'000} * static_cast<unsigned>(idle_timeout_s);
}

}  // namespace litepull
