// The second step of a run: what the names of one `.env` file mean. Later steps can rely on the rules below.
// A value that breaks one is Error{kConfiguration} with file, line, value and remedy. Only files that
// SSH_KEY, SSH_KNOWN_HOSTS and SSH_CONFIG name are looked at; nothing is created and nothing is run.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/host_name.h"
#include "client/config/env_file.h"
#include "client/config/verify_mode.h"
#include "client/store/retention.h"

namespace litepull {

enum class Transport { kSsh, kLocal };

// Paths and globs are UTF-8 without control characters.
struct Config {
  std::string file;               // as it was named
  std::string app_name;           // [A-Za-z0-9][A-Za-z0-9._-]{0,63}: safe as a directory's name
  std::string app_id;             // is_app_id, or empty: the file has none
  std::string workspace_dir;      // absolute, or empty when not set
  std::string local_backup_root;  // absolute, without a '/' at the end
  std::string server_user;        // this and server_host may be empty when transport is kLocal; this also
  std::string server_host;        // with ssh_config. A host name or address; an IPv6 one without brackets
  std::uint16_t server_port = 22;
  bool server_port_given = false;
  std::string remote_backup_dir;       // a leading `~/` is the server's home and still to be expanded there
  std::optional<std::string> ssh_key;  // absolute; this and the next were readable files when
  std::optional<std::string> ssh_known_hosts;  // transport is kSsh
  std::optional<std::string> ssh_config;       // OpenSSH's file for ssh -F; empty: its usual ones
  std::optional<SshProxy> ssh_proxy;
  bool remote_sudo = false;
  Transport transport = Transport::kSsh;
  std::vector<std::string> databases{"*.sqlite3"};  // globs as in common/glob.h, never empty
  std::vector<std::string> exclude;
  Policy policy;
  VerifyMode verify = VerifyMode::kFull;  // unless a command says otherwise
  int connect_timeout_s = 15;
  int idle_timeout_s = 60;
  std::optional<int> compression_level;  // as in zstd; chosen by the program when not set
  int hold_max_s = 600;                  // the longest a read transaction may pin a WAL
  int wal_growth_max_mb = 256;           // the most a WAL may grow by while it is pinned
  int barrier_ms = 2000;                 // the longest to wait for the write locks of the whole set
  int max_age_hours = 36;                // how old the newest good snapshot may be, for `status`
  std::string ping_url;               // http or https, see client/nightly/ping.h; never shown; may be empty
  std::string notify_command;         // for sh -c; may be empty
  std::vector<std::string> warnings;  // for a person, safe to print; the run goes on
};

Config load_config(const std::string& path, const Environment& environment);

// The same for a text that is not in a file yet. `path` is its name in messages.
Config parse_config(std::string_view text, const std::string& path, const Environment& environment);

// Throws Error{kConfiguration} when TRANSPORT is `local` and one of LOCAL_BACKUP_ROOT and REMOTE_BACKUP_DIR
// is inside the other, also through links: snapshots would be taken of snapshots. Only commands that pull
// call this, so existing snapshots stay usable.
void require_apart(const Config& config);

// Every key that has a meaning.
std::span<const std::string_view> config_keys();

// How long a peer may live without progress, in microseconds: ten times the idle timeout, since a slow disk
// needs time to open its databases.
std::uint64_t patience_us(int idle_timeout_s);

}  // namespace litepull
