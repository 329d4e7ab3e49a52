// Fuzzes the .env file, as anyone may have written it, and the meaning of its names.
#include "client/config/config.h"

#include <string>

#include "client/init/project_env.h"
#include "common/glob.h"
#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {
namespace {

const Environment& environment() {
  static const Environment variables{{"HOME", "/home/u"}, {"ODD", "\x01\xFF'\"$`\\ \n"}};
  return variables;
}

// Checks what client/config/config.h promises of every configuration.
void require_sound(const Config& config) {
  invariant(is_word(config.app_name, "._-") && config.app_name.size() <= 64, "an app's name that is no word");
  invariant(config.local_backup_root.starts_with('/'), "a relative backup root");
  for (const std::string* path : {&config.local_backup_root, &config.workspace_dir, &config.remote_backup_dir,
                                  &config.notify_command, &config.ping_url})
    invariant(is_clean_utf8(*path), "a value that cannot be printed");
  invariant(config.server_host.empty() || is_host(config.server_host), "a host that is none");
  invariant(config.server_user.empty() || is_user(config.server_user), "a user that is none");
  invariant(config.server_port > 0, "no port");
  invariant(!config.databases.empty(), "no pattern");
  for (const std::string& glob : config.databases) glob_matches(glob, "tenants/eu/production.sqlite3");
  for (const std::string& warning : config.warnings)
    invariant(is_clean_utf8(warning), "a warning to no terminal");
}

// init must be able to write every value that a configuration may have.
void require_writable(const Config& config) {
  if (config.transport != Transport::kSsh || config.workspace_dir.empty() || config.server_user.empty())
    return;
  const ProjectEnv env{"a test",
                       config.app_name,
                       config.app_id,
                       config.workspace_dir,
                       config.local_backup_root,
                       config.server_user,
                       config.server_host,
                       std::to_string(config.server_port),
                       config.remote_backup_dir,
                       "",
                       "",
                       "",
                       "",
                       {"*.sqlite3"}};
  const Config again = parse_config(render_env(env, "/home/u"), "again.env", environment());
  invariant(again.app_name == config.app_name && again.app_id == config.app_id &&
                again.workspace_dir == config.workspace_dir &&
                again.local_backup_root == config.local_backup_root &&
                again.server_user == config.server_user && again.server_host == config.server_host &&
                again.server_port == config.server_port &&
                again.remote_backup_dir == config.remote_backup_dir,
            "a configuration is not what was written");
}

void require_once(const EnvFile& env) {
  for (const EnvAssignment& one : env.assignments)
    invariant(std::ranges::count(env.assignments, one.name, &EnvAssignment::name) == 1,
              "a name assigned twice");
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull;
  using namespace litepull::fuzz;
  const std::string_view text = as_text({data, size});
  accepts({ErrorKind::kConfiguration}, [&] {
    require_once(parse_env(text, "app.env", environment()));
    const Config config = parse_config(text, "app.env", environment());
    require_sound(config);
    require_writable(config);
  });
  return 0;
}
