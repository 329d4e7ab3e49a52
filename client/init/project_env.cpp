#include "client/init/project_env.h"

#include <algorithm>
#include <utility>

#include "client/base/error_of.h"
#include "client/config/config.h"
#include "client/config/path_text.h"
#include "client/init/words.h"
#include "common/error.h"

namespace litepull {
namespace {

bool is_plain_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_./:@%+,-").find(c) != std::string_view::npos;
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_plain_byte);
}

// Escapes text for double quotes.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\"\\$`").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string shell_quoted(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  if (text.find('\'') == std::string_view::npos) return "'" + std::string(text) + "'";
  return "\"" + escaped(text) + "\"";
}

// A path on this machine. It is written relative to the home directory if possible, so that the file can move
// along.
std::string local_path(const std::string& path, const std::string& home) {
  std::string_view below;
  if (path.starts_with("~/"))
    below = std::string_view(path).substr(1);
  else if (home.size() > 1 && path.starts_with(home + "/"))
    below = std::string_view(path).substr(home.size());
  else
    return shell_quoted(path);
  return is_plain(below) ? "~" + std::string(below) : "\"$HOME" + escaped(below) + "\"";
}

std::string backup_root_path(const std::string& path, const std::string& home) {
  return is_whole_path(path) ? local_path(path, home) : "\"$WORKSPACE_DIR/" + escaped(path) + "\"";
}

class Writer {
 public:
  void comment(const std::string& text) { text_ += "# " + printable(text) + "\n"; }
  void line(const std::string& about, std::string_view key, const std::string& value) {
    comment(about);
    text_ += std::string(key) + "=" + value + "\n";
  }
  void blank() { text_ += '\n'; }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

void write_server(Writer& out, const ProjectEnv& env, const std::string& home) {
  if (!env.user.empty())
    out.line("The user to log in as on the server: root, or the owner of the databases.", "SERVER_USER",
             shell_quoted(env.user));
  out.line("The server's name or address; its host key must be known already.", "SERVER_HOST",
           shell_quoted(env.host));
  if (!env.port.empty()) out.line("The port of its SSH server.", "SERVER_PORT", shell_quoted(env.port));
  out.line("The directory on the server that holds the databases" +
               (env.storage_is.empty() ? "" : ": " + env.storage_is) + ".",
           "REMOTE_BACKUP_DIR", shell_quoted(env.storage));
  if (!env.ssh_config.empty())
    out.line("Read this host's entries in OpenSSH's configuration, as Kamal does.", "SSH_CONFIG",
             env.ssh_config == "yes" ? "yes" : local_path(env.ssh_config, home));
  if (!env.key.empty()) out.line("The private key to log in with.", "SSH_KEY", local_path(env.key, home));
  if (!env.proxy.empty())
    out.line("The host to jump over on the way there.", "SSH_PROXY", shell_quoted(env.proxy));
}

ProjectEnv sound_env() {
  ProjectEnv env;
  env.app_name = "app";
  env.workspace_dir = env.backup_root = env.storage = "/srv";
  env.user = "root";
  env.host = "localhost";
  env.port = "22";
  return env;
}

std::string& field(ProjectEnv& env, std::string_view key) {
  if (key == "APP_NAME") return env.app_name;
  if (key == "WORKSPACE_DIR") return env.workspace_dir;
  if (key == "LOCAL_BACKUP_ROOT") return env.backup_root;
  if (key == "SERVER_USER") return env.user;
  if (key == "SERVER_HOST") return env.host;
  if (key == "SERVER_PORT") return env.port;
  if (key == "REMOTE_BACKUP_DIR") return env.storage;
  if (key == "SSH_KEY") return env.key;
  if (key == "SSH_CONFIG") return env.ssh_config;
  invariant(key == "SSH_PROXY", "a key that init does not write");
  return env.proxy;
}

}  // namespace

std::string render_env(const ProjectEnv& env, const std::string& home) {
  Writer out;
  out.comment("Made by litepull init from " + env.made_from +
              ". Lines are NAME=value, as in a shell, but are never");
  out.comment("executed. config/projects/example.env.sample in litepull's source shows every key.");
  out.blank();
  out.line("The name of the app: its snapshots go to LOCAL_BACKUP_ROOT/APP_NAME.", "APP_NAME",
           shell_quoted(env.app_name));
  if (!env.app_id.empty())
    out.line("Tells this app's snapshots from another's: leave the line out of a copy for another app.",
             "APP_ID", shell_quoted(env.app_id));
  out.line("The app's workspace on this machine: its code and its snapshots.", "WORKSPACE_DIR",
           local_path(env.workspace_dir, home));
  out.line("Where snapshots are kept, on this machine.", "LOCAL_BACKUP_ROOT",
           backup_root_path(env.backup_root, home));
  out.blank();
  write_server(out, env, home);
  out.blank();
  out.line("Which databases: patterns divided by spaces; **/ descends into directories.", "DATABASES",
           shell_quoted(joined(env.databases, " ")));
  out.line("How many days to keep snapshots; the newest good one is always kept.", "RETENTION_DAYS", "7");
  return std::move(out).text();
}

// Only the parser knows its rules, so it reads a file in which everything but this value is sound.
std::string why_not(std::string_view key, const std::string& value, const Environment& environment) {
  ProjectEnv env = sound_env();
  field(env, key) = value;
  const auto home = environment.find("HOME");
  const auto error = error_of([&] {
    parse_config(render_env(env, home == environment.end() ? "" : home->second), "init", environment);
  });
  if (!error) return "";
  const std::size_t at = error->message().find(key);
  return at == std::string::npos ? error->message() : error->message().substr(at);
}

}  // namespace litepull
