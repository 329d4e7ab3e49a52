// The text of a configuration that init writes, with a comment above each line. client/config/config.h reads
// it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/config/env_file.h"

namespace litepull {

struct ProjectEnv {
  std::string made_from;  // "config/deploy.yml", for the first comment
  std::string app_name;
  std::string app_id;         // empty: no line
  std::string workspace_dir;  // absolute
  std::string backup_root;    // absolute, or relative to workspace_dir; a leading '~/' is this machine's home
  std::string user, host, port;  // no user or no port: no line, since ssh_config tells it
  std::string storage;           // a leading '~/' is the server's home
  std::string storage_is;        // "the Docker volume billing_storage", for a comment; may be empty
  std::string key;               // a leading '~/' is this machine's home; empty: no line
  std::string proxy;             // [user@]host[:port]; empty: no line
  std::string ssh_config;        // "yes", or a file as `key` is; empty: no line
  std::vector<std::string> databases{"*.sqlite3"};  // patterns
};

// Reading the text gives back each value exactly; only control bytes are refused by the parser. `home` is
// this machine's home directory, or empty.
std::string render_env(const ProjectEnv& env, const std::string& home);

// Why `key` cannot have `value`, in the words of client/config/config.h; empty when it can. For SSH_KEY the
// file is looked at.
std::string why_not(std::string_view key, const std::string& value, const Environment& environment);

}  // namespace litepull
