// Where an app runs and where its storage is, as Kamal's configuration says (config/deploy.yml, and
// config/deploy.NAME.yml of a destination). Forms and defaults are those of Kamal 2 (its
// lib/kamal/configuration and https://kamal-deploy.org/docs/configuration/overview/). Pure: no file is
// opened, no environment is looked at, no ERB is run, and no secret is taken over. A text that is not YAML,
// or not in Kamal's form, is Error{kConfiguration} with file and line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

// One word of the file. It is known, or only Ruby knows it, or the file does not have it.
struct KamalValue {
  std::string text;   // as it is written, with ERB tags in it
  std::string where;  // "config/deploy.yml:12"; empty when the file does not say it
  std::string erb;    // "<%= ENV["HOST"] %>" when only Ruby can tell; else empty

  bool said() const { return !where.empty(); }
  bool known() const { return said() && erb.empty(); }
};

// A host as Kamal's SSH library reads it: [user@]host[:port].
struct KamalHost {
  KamalValue name;  // without user and port
  std::string user;
  std::string port;
};

// One mount of a container: `source`, a path or a volume on the host, appears in the container as `mount`.
struct KamalVolume {
  KamalValue source;  // a path that begins with '/' or, from the login's home, '~/'; else a volume's name
  std::string mount;  // absolute, without a '/' at the end; empty when only Ruby can tell
  std::string of;     // "volumes", "servers/job/options", "accessories/litestream"
  std::vector<KamalHost> hosts;  // that have it; empty: those of the primary role
};

struct KamalApp {
  KamalValue service;
  KamalValue destination_required;  // require_destination, when it is not false
  std::string primary_role;
  std::vector<KamalHost> hosts;        // of the primary role, the first of which is the primary host
  std::vector<KamalHost> other_hosts;  // of other roles, where they differ
  std::string no_hosts;                // why `hosts` is empty: "servers/web lists no host"
  KamalValue user, port, proxy, proxy_command;
  std::vector<KamalValue> keys;         // files
  bool key_data = false;                // ssh/key_data is there: names of secrets, or secrets
  bool reads_ssh_config = true;         // Kamal reads OpenSSH's configuration, unless ssh/config is false
  std::vector<KamalValue> ssh_configs;  // the files that ssh/config names; empty: the usual ones
  std::vector<KamalVolume> volumes;
  // The environment of the app's containers. A value that only Ruby or a secret tells has an ERB tag in it.
  std::map<std::string, std::string> environment;
  KamalValue hooks_path;
};

struct KamalText {
  std::string file;  // its name for messages, safe to print
  std::string text;
};

// `over` is the destination's file, which is merged over `base` as Kamal does it.
KamalApp read_kamal(const KamalText& base, const std::optional<KamalText>& over);

// The app's storage in the image that Rails 8's Dockerfile makes.
inline constexpr std::string_view kRailsStorage = "/rails/storage";

// Reads a host as it is written under `servers`.
KamalHost read_kamal_host(KamalValue text);
// Reads one word of `volumes`. A volume without a source on the host is ignored.
void add_kamal_volume(std::vector<KamalVolume>& volumes, const KamalValue& text);

// The volume that holds `path`, a path inside the container: it is mounted there or at a directory above.
// Volumes of the primary role come first. Null when there is none.
const KamalVolume* volume_holding(const KamalApp& app, std::string_view path);

// The path on the host of `path`, a path inside the container. Empty when `volume` does not hold it, and when
// the server's shell would expand the volume's source.
std::string host_path(const KamalVolume& volume, std::string_view path);

bool is_volume_name(std::string_view text);

// The mountpoint of a docker volume on the host (Docker's default data directory).
std::string volume_directory(std::string_view name);

}  // namespace litepull
