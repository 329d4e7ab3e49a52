#include "client/init/kamal_config.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "client/config/path_text.h"
#include "client/init/kamal_forms.h"
#include "client/init/yaml_tree.h"
#include "common/error.h"

namespace litepull {
namespace {

class KamalReader {
 public:
  explicit KamalReader(Yaml root) : root_(std::move(root)) {}
  KamalApp read() &&;

 private:
  Yaml top(const std::string& key) const { return value_at(root_, key, "the file"); }
  void read_ssh();
  void read_ssh_config(const Yaml& config);
  void read_environment(const Yaml& env);
  void read_keys(const Yaml& ssh);
  void read_hosts();
  void read_volumes();
  void read_accessory(const std::string& name, const Yaml& accessory);
  void read_directories(const std::string& name, const Yaml& accessory, std::vector<KamalVolume>& volumes);
  std::vector<std::string> role_names() const;
  Yaml role(const std::string& name) const;
  std::vector<KamalHost> hosts_of_role(const std::string& name) const;
  std::vector<KamalHost> hosts_of_tag(const std::string& tag) const;
  std::vector<KamalHost> hosts_of_accessory(const std::string& name, const Yaml& accessory) const;

  const Yaml root_;
  KamalApp app_;
};

KamalApp KamalReader::read() && {
  if (only_ruby_knows(root_)) refuse_form(*root_, root_->text, "a mapping");
  app_.service = word_of(top("service"), "service");
  app_.hooks_path = word_of(top("hooks_path"), "hooks_path");
  const KamalValue required = word_of(top("require_destination"), "require_destination");
  if (required.said() && required.text != "false") app_.destination_required = required;
  read_ssh();
  read_environment(top("env"));
  read_hosts();
  read_volumes();
  return std::move(app_);
}

void KamalReader::read_ssh() {
  const Yaml ssh = top("ssh");
  app_.user = word_of(value_at(ssh, "user", "ssh"), "ssh/user");
  app_.port = word_of(value_at(ssh, "port", "ssh"), "ssh/port");
  app_.proxy = word_of(value_at(ssh, "proxy", "ssh"), "ssh/proxy");
  app_.proxy_command = word_of(value_at(ssh, "proxy_command", "ssh"), "ssh/proxy_command");
  read_keys(ssh);
  if (only_ruby_knows(ssh)) return;
  app_.key_data = !is_nothing(value_at(ssh, "key_data", "ssh"));
  read_ssh_config(value_at(ssh, "config", "ssh"));
}

void KamalReader::read_ssh_config(const Yaml& config) {
  const std::vector<Yaml> items = items_of(config, "ssh/config");
  const bool is_switch = items.size() == 1 && (items[0]->text == "true" || items[0]->text == "false");
  app_.reads_ssh_config = is_nothing(config) || (!items.empty() && items[0]->text != "false");
  if (is_switch) return;
  for (const Yaml& item : items)
    if (KamalValue file = word_of(item, "ssh/config"); file.said())
      app_.ssh_configs.push_back(std::move(file));
}

// The mapping has names and values, or such a mapping under `clear` and a list of names under `secret`.
void KamalReader::read_environment(const Yaml& env) {
  if (is_nothing(env) || !env->is(YamlKind::kMapping)) return;
  const Yaml clear = env->find("clear"), secret = env->find("secret");
  const Yaml& plain = clear == nullptr && secret == nullptr ? env : clear;
  if (plain != nullptr && plain->is(YamlKind::kMapping))
    for (const auto& [name, value] : plain->entries)
      if (value->is(YamlKind::kScalar))
        app_.environment[name->text] = value->erb.empty() ? value->text : value->erb;
  if (secret != nullptr && secret->is(YamlKind::kSequence))
    for (const Yaml& name : secret->items)
      app_.environment[name->text.substr(0, name->text.find(':'))] = "<%= a secret %>";
}

void KamalReader::read_keys(const Yaml& ssh) {
  for (const Yaml& item : items_of(value_at(ssh, "keys", "ssh"), "ssh/keys"))
    if (KamalValue key = word_of(item, "ssh/keys"); key.said()) app_.keys.push_back(std::move(key));
}

// A list of servers is the role `web`.
std::vector<std::string> KamalReader::role_names() const {
  const Yaml servers = top("servers");
  if (is_nothing(servers)) return {};
  if (!servers->is(YamlKind::kMapping)) return {"web"};
  std::vector<std::string> names;
  for (const auto& [name, value] : servers->entries) names.push_back(name->text);
  return names;
}

// The value of a role under `servers`: a list of hosts, or a mapping. Null when it is missing.
Yaml KamalReader::role(const std::string& name) const {
  const Yaml servers = top("servers");
  if (is_nothing(servers)) return nullptr;
  if (servers->is(YamlKind::kMapping)) return servers->find(name);
  return only_ruby_knows(servers) || name == "web" ? servers : nullptr;
}

std::vector<KamalHost> KamalReader::hosts_of_role(const std::string& name) const {
  const Yaml value = role(name);
  const std::string shown = "servers/" + name;
  if (value == nullptr || !value->is(YamlKind::kMapping)) return hosts_in(value, shown);
  return hosts_in(value->find("hosts"), shown + "/hosts");
}

void KamalReader::read_hosts() {
  const KamalValue primary = word_of(top("primary_role"), "primary_role");
  app_.primary_role = primary.known() ? primary.text : "web";
  if (primary.said() && !primary.known()) {
    app_.hosts = {{primary, "", ""}};
    return;
  }
  app_.hosts = hosts_of_role(app_.primary_role);
  if (app_.hosts.empty())
    app_.no_hosts =
        is_nothing(role(app_.primary_role))
            ? "there is no role '" + printable(app_.primary_role) + "', the primary one, under servers"
            : "servers/" + printable(app_.primary_role) + " lists no host";
  std::vector<KamalHost> all = app_.hosts;
  for (const std::string& name : role_names())
    for (KamalHost& host : hosts_of_role(name)) add_host(all, std::move(host));
  app_.other_hosts.assign(all.begin() + static_cast<std::ptrdiff_t>(app_.hosts.size()), all.end());
}

void KamalReader::read_volumes() {
  for (const Yaml& item : items_of(top("volumes"), "volumes")) add_volume(app_.volumes, item, "volumes");
  for (const std::string& name : role_names()) {
    const Yaml value = role(name);
    if (value == nullptr || !value->is(YamlKind::kMapping)) continue;
    std::vector<KamalVolume> volumes;
    add_options(volumes, value->find("options"), "servers/" + name);
    for (KamalVolume& volume : volumes) {
      if (name != app_.primary_role) volume.hosts = hosts_of_role(name);
      app_.volumes.push_back(std::move(volume));
    }
  }
  const Yaml accessories = top("accessories");
  if (is_nothing(accessories) || only_ruby_knows(accessories)) return;
  if (!accessories->is(YamlKind::kMapping)) refuse_form(*accessories, "accessories", "a mapping");
  for (const auto& [name, accessory] : accessories->entries) read_accessory(name->text, accessory);
}

void KamalReader::read_accessory(const std::string& name, const Yaml& accessory) {
  if (is_nothing(accessory) || only_ruby_knows(accessory)) return;
  const std::string of = "accessories/" + name;
  std::vector<KamalVolume> volumes;
  for (const Yaml& item : items_of(value_at(accessory, "volumes", of), of + "/volumes"))
    add_volume(volumes, item, of);
  add_options(volumes, value_at(accessory, "options", of), of);
  read_directories(name, accessory, volumes);
  const std::vector<KamalHost> hosts = hosts_of_accessory(name, accessory);
  for (KamalVolume& volume : volumes) {
    volume.hosts = hosts;
    app_.volumes.push_back(std::move(volume));
  }
}

// Each is `local:remote[:options]`, or a mapping with `local` and `remote`. They are directories on the host,
// below a directory in the login's home that has the accessory's name. (`files` are single files from this
// machine.)
void KamalReader::read_directories(const std::string& name, const Yaml& accessory,
                                   std::vector<KamalVolume>& volumes) {
  const std::string of = "accessories/" + name;
  const KamalValue service = word_of(value_at(accessory, "service", of), of + "/service");
  const std::string below = service.said() ? service.text : app_.service.text + "-" + name;
  const std::string& below_erb = service.said() ? service.erb : app_.service.erb;
  for (const Yaml& item : items_of(value_at(accessory, "directories", of), of + "/directories")) {
    const std::size_t before = volumes.size();
    if (item->is(YamlKind::kMapping)) {
      const KamalValue local = word_of(item->find("local"), of + "/directories");
      const KamalValue remote = word_of(item->find("remote"), of + "/directories");
      if (local.said() && remote.known())
        volumes.push_back({local, without_end_slashes(remote.text), of, {}});
    } else {
      add_volume(volumes, item, of);
    }
    if (volumes.size() == before) continue;
    KamalValue& source = volumes.back().source;
    if (source.text.starts_with('/')) continue;
    if (source.text.starts_with("~/")) source.text.erase(0, 2);
    source.text = "~/" + below + "/" + source.text;
    if (source.erb.empty()) source.erb = below_erb;
  }
}

std::vector<KamalHost> KamalReader::hosts_of_tag(const std::string& tag) const {
  std::vector<KamalHost> hosts;
  for (const std::string& name : role_names()) {
    const Yaml value = role(name);
    if (value == nullptr) continue;
    const Yaml items = value->is(YamlKind::kMapping) ? value->find("hosts") : value;
    for (const Yaml& item : items_of(items, "servers/" + name))
      if (has_tag(item, tag)) add_host(hosts, host_in(item, "servers/" + name));
  }
  return hosts;
}

std::vector<KamalHost> KamalReader::hosts_of_accessory(const std::string& name, const Yaml& accessory) const {
  const std::string of = "accessories/" + name;
  std::vector<KamalHost> hosts;
  const auto each = [&](const char* key, auto use) {
    for (const Yaml& item : items_of(value_at(accessory, key, of), of + "/" + key)) use(item);
  };
  const auto add_all = [&](std::vector<KamalHost> more) {
    for (KamalHost& host : more) add_host(hosts, std::move(host));
  };
  for (const char* key : {"host", "hosts"})
    each(key, [&](const Yaml& item) { add_host(hosts, host_in(item, of + "/" + key)); });
  for (const char* key : {"role", "roles"})
    each(key, [&](const Yaml& item) { add_all(hosts_of_role(word_of(item, of).text)); });
  for (const char* key : {"tag", "tags"})
    each(key, [&](const Yaml& item) { add_all(hosts_of_tag(word_of(item, of).text)); });
  return hosts;
}

// Kamal lets the server's shell expand variables and backticks.
bool is_literal(std::string_view path) {
  return path.find_first_of("$`") == std::string_view::npos;
}

bool holds(const KamalVolume& volume, std::string_view path) {
  if (volume.mount.empty()) return false;
  const std::string below = volume.mount == "/" ? "/" : volume.mount + "/";
  return path == volume.mount || path.starts_with(below);
}

}  // namespace

KamalApp read_kamal(const KamalText& base, const std::optional<KamalText>& over) {
  const Yaml first = read_yaml(base.text, base.file);
  if (!over) return KamalReader(first).read();
  const Yaml second = read_yaml(over->text, over->file);
  return KamalReader(is_nothing(second) ? first : deep_merge(first, second)).read();
}

const KamalVolume* volume_holding(const KamalApp& app, std::string_view path) {
  const KamalVolume* best = nullptr;
  const auto rank = [](const KamalVolume& volume) {
    const bool primary = volume.hosts.empty() && !volume.of.starts_with("accessories/");
    return std::tuple(primary, volume.mount.size(), volume.source.known());
  };
  for (const KamalVolume& volume : app.volumes)
    if (holds(volume, path) && (best == nullptr || rank(volume) > rank(*best))) best = &volume;
  return best;
}

std::string host_path(const KamalVolume& volume, std::string_view path) {
  const std::string& source = volume.source.text;
  const bool is_path = is_whole_path(source);
  if (!holds(volume, path) || !(is_path ? is_literal(source) : is_volume_name(source))) return "";
  const std::string top = is_path ? source : volume_directory(source);
  std::string below(path.substr(volume.mount == "/" ? 0 : volume.mount.size()));
  return below.empty() ? top : without_end_slashes(top) + below;
}

// As Docker names them (its volume.RestrictedNamePattern).
bool is_volume_name(std::string_view text) {
  const auto is_name_byte = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return text.size() > 1 && text[0] != '_' && text[0] != '.' && text[0] != '-' &&
         std::all_of(text.begin(), text.end(), is_name_byte);
}

std::string volume_directory(std::string_view name) {
  return "/var/lib/docker/volumes/" + std::string(name) + "/_data";
}

}  // namespace litepull
