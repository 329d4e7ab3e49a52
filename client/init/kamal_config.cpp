#include "client/init/kamal_config.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "client/base/host_name.h"
#include "client/init/yaml_tree.h"
#include "common/error.h"

namespace litepull {
namespace {

using Kind = YamlValue::Kind;

[[noreturn]] void refuse(const YamlValue& value, const std::string& name, const std::string& rule) {
  throw Error(ErrorKind::kConfiguration, value.where + ": " + printable(name) + " must be " + rule,
              "mend the file; kamal config says whether Kamal can read it");
}

// Not known either when ERB decides whether it is there at all, or stands where a list or a mapping should.
bool is_open(const Yaml& value) {
  return value != nullptr && !value->erb.empty() && !value->is(Kind::kSequence) && !value->is(Kind::kMapping);
}

bool is_nothing(const Yaml& value) {
  return value == nullptr || (value->is(Kind::kNull) && value->erb.empty());
}

KamalValue word(const Yaml& value, const std::string& name) {
  if (is_nothing(value)) return {};
  if (value->is(Kind::kSequence) || value->is(Kind::kMapping)) refuse(*value, name, "one word");
  return {value->text, value->where, value->erb};
}

// The value of `key` in a mapping; null when there is none; the mapping itself when only Ruby knows what is
// in it. `name` is the mapping's.
Yaml at(const Yaml& mapping, const std::string& key, const std::string& name) {
  if (is_nothing(mapping)) return nullptr;
  if (is_open(mapping)) return mapping;
  if (!mapping->is(Kind::kMapping)) refuse(*mapping, name, "a mapping");
  return mapping->find(key);
}

// The items of a list; one word counts as a list of it.
std::vector<Yaml> list(const Yaml& value, const std::string& name) {
  if (is_nothing(value)) return {};
  if (value->is(Kind::kMapping)) refuse(*value, name, "a list");
  return value->is(Kind::kSequence) ? value->items : std::vector<Yaml>{value};
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// --- hosts -----------------------------------------------------------------------------------------------

KamalHost host_of(KamalValue value) {
  KamalHost host{std::move(value), "", ""};
  std::string& text = host.name.text;
  if (!host.name.known()) return host;
  if (const std::size_t user = text.rfind('@'); user != std::string::npos) {
    host.user = text.substr(0, user);
    text.erase(0, user + 1);
  }
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && !is_ipv6(text) && is_digits(text.substr(colon + 1))) {
    host.port = text.substr(colon + 1);
    text.erase(colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  return host;
}

// `10.0.0.1`, or with tags `10.0.0.1: tag` or `10.0.0.1: [tag, tag]`.
KamalHost host_in(const Yaml& item, const std::string& name) {
  if (!item->is(Kind::kMapping)) return host_of(word(item, name));
  if (item->entries.size() != 1) refuse(*item, name, "a host, or one host with its tags");
  return host_of(word(item->entries.front().first, name));
}

void add_host(std::vector<KamalHost>& hosts, KamalHost host) {
  if (!host.name.said() || (host.name.known() && host.name.text.empty())) return;
  const bool there = std::any_of(hosts.begin(), hosts.end(), [&](const KamalHost& other) {
    return other.name.text == host.name.text && other.name.known() && host.name.known();
  });
  if (!there) hosts.push_back(std::move(host));
}

std::vector<KamalHost> hosts_in(const Yaml& value, const std::string& name) {
  std::vector<KamalHost> hosts;
  for (const Yaml& item : list(value, name)) add_host(hosts, host_in(item, name));
  return hosts;
}

bool has_tag(const Yaml& item, const std::string& tag) {
  if (!item->is(Kind::kMapping) || item->entries.size() != 1) return false;
  const Yaml& tags = item->entries.front().second;
  if (tags->is(Kind::kScalar)) return tags->text == tag;
  return std::any_of(tags->items.begin(), tags->items.end(),
                     [&](const Yaml& one) { return one->text == tag; });
}

// --- volumes ---------------------------------------------------------------------------------------------

std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// The shell on the server expands these before docker sees them, and a relative path starts in the home
// directory that the login is in.
std::string from_home(std::string source) {
  for (const std::string_view home : {"$HOME/", "${HOME}/", "$PWD/", "${PWD}/", "./"})
    if (source.starts_with(home)) return "~/" + source.substr(home.size());
  const bool relative = source.find('/') != std::string::npos && !source.starts_with('/') &&
                        !source.starts_with("~/") && !source.starts_with('$');
  return relative ? "~/" + source : source;
}

KamalVolume volume_of(KamalValue source, std::string mount, const std::string& of) {
  KamalVolume volume{std::move(source), std::move(mount), of, {}};
  volume.source.text = without_end_slashes(from_home(volume.source.text));
  volume.mount = volume.mount.starts_with('/') ? without_end_slashes(volume.mount) : "";
  return volume;
}

// The value with only `text` left of its text: what ERB stands in may be the other half.
KamalValue part(const YamlValue& value, std::string_view text) {
  const bool open = !value.erb.empty() &&
                    (value.text.find("<%") == std::string::npos || text.find("<%") != std::string_view::npos);
  return {std::string(text), value.where, open ? value.erb : ""};
}

// Where the first half ends: at the first ':' that is not in an ERB tag.
std::size_t colon_in(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("<%")) i = std::min(text.find("%>", i), text.size());
    if (i < text.size() && text[i] == ':') return i;
  }
  return std::string_view::npos;
}

// `source:mount[:options]` as docker's --volume takes it. What has no source is docker's own to name.
void add_volume(std::vector<KamalVolume>& volumes, const Yaml& item, const std::string& of) {
  const KamalValue spec = word(item, of);
  const std::size_t colon = colon_in(spec.text);
  if (colon == std::string::npos) {
    if (!spec.erb.empty()) volumes.push_back(volume_of(spec, "", of));
    return;
  }
  const std::string_view text = spec.text;
  const std::string_view rest = text.substr(colon + 1);
  const KamalValue mount = part(*item, rest.substr(0, std::min(colon_in(rest), rest.size())));
  KamalValue source = part(*item, text.substr(0, colon));
  if (!mount.erb.empty() && source.erb.empty() && mount.text.find("<%") != std::string::npos)
    source.erb = mount.erb;
  volumes.push_back(
      volume_of(std::move(source), mount.text.find("<%") == std::string::npos ? mount.text : "", of));
}

// `type=volume,source=app_storage,target=/rails/storage` as docker's --mount takes it.
void add_mount(std::vector<KamalVolume>& volumes, const Yaml& item, const std::string& of) {
  const KamalValue spec = word(item, of);
  std::string_view rest = spec.text;
  KamalValue source{"", spec.where, spec.erb};
  std::string mount;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view field = rest.substr(0, end);
    const std::size_t equals = std::min(field.find('='), field.size());
    const std::string_view key = field.substr(0, equals),
                           value = field.substr(std::min(equals + 1, field.size()));
    if (key == "source" || key == "src") source.text = value;
    if (key == "target" || key == "dst" || key == "destination") mount = value;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!source.text.empty() || !spec.erb.empty())
    volumes.push_back(volume_of(std::move(source), std::move(mount), of));
}

// `options` of a role or an accessory become --NAME VALUE, a list of them the option several times.
void add_options(std::vector<KamalVolume>& volumes, const Yaml& options, const std::string& of) {
  const std::string name = of + "/options";
  for (const Yaml& item : list(at(options, "volume", name), name + "/volume"))
    add_volume(volumes, item, name);
  for (const Yaml& item : list(at(options, "mount", name), name + "/mount")) add_mount(volumes, item, name);
}

// --- the whole -------------------------------------------------------------------------------------------

class Reader {
 public:
  explicit Reader(Yaml root) : root_(std::move(root)) {}
  KamalApp read() &&;

 private:
  Yaml top(const std::string& key) const { return at(root_, key, "the file"); }
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

KamalApp Reader::read() && {
  if (is_open(root_)) refuse(*root_, root_->text, "a mapping");
  app_.service = word(top("service"), "service");
  app_.hooks_path = word(top("hooks_path"), "hooks_path");
  const KamalValue required = word(top("require_destination"), "require_destination");
  if (required.said() && required.text != "false") app_.destination_required = required;
  read_ssh();
  read_environment(top("env"));
  read_hosts();
  read_volumes();
  return std::move(app_);
}

void Reader::read_ssh() {
  const Yaml ssh = top("ssh");
  app_.user = word(at(ssh, "user", "ssh"), "ssh/user");
  app_.port = word(at(ssh, "port", "ssh"), "ssh/port");
  app_.proxy = word(at(ssh, "proxy", "ssh"), "ssh/proxy");
  app_.proxy_command = word(at(ssh, "proxy_command", "ssh"), "ssh/proxy_command");
  read_keys(ssh);
  if (is_open(ssh)) return;
  app_.key_data = !is_nothing(at(ssh, "key_data", "ssh"));
  read_ssh_config(at(ssh, "config", "ssh"));
}

void Reader::read_ssh_config(const Yaml& config) {
  const std::vector<Yaml> items = list(config, "ssh/config");
  const bool is_switch = items.size() == 1 && (items[0]->text == "true" || items[0]->text == "false");
  app_.reads_ssh_config = is_nothing(config) || (!items.empty() && items[0]->text != "false");
  if (is_switch) return;
  for (const Yaml& item : items)
    if (KamalValue file = word(item, "ssh/config"); file.said()) app_.ssh_configs.push_back(std::move(file));
}

// Names and values, or such a mapping as `clear` beside a list of names as `secret`.
void Reader::read_environment(const Yaml& env) {
  if (is_nothing(env) || !env->is(Kind::kMapping)) return;
  const Yaml clear = env->find("clear"), secret = env->find("secret");
  const Yaml& plain = clear == nullptr && secret == nullptr ? env : clear;
  if (plain != nullptr && plain->is(Kind::kMapping))
    for (const auto& [name, value] : plain->entries)
      if (value->is(Kind::kScalar))
        app_.environment[name->text] = value->erb.empty() ? value->text : value->erb;
  if (secret != nullptr && secret->is(Kind::kSequence))
    for (const Yaml& name : secret->items)
      app_.environment[name->text.substr(0, name->text.find(':'))] = "<%= a secret %>";
}

void Reader::read_keys(const Yaml& ssh) {
  for (const Yaml& item : list(at(ssh, "keys", "ssh"), "ssh/keys"))
    if (KamalValue key = word(item, "ssh/keys"); key.said()) app_.keys.push_back(std::move(key));
}

// A list of servers is the role `web`.
std::vector<std::string> Reader::role_names() const {
  const Yaml servers = top("servers");
  if (is_nothing(servers)) return {};
  if (!servers->is(Kind::kMapping)) return {"web"};
  std::vector<std::string> names;
  for (const auto& [name, value] : servers->entries) names.push_back(name->text);
  return names;
}

// What `servers` says of a role: a list of hosts, or a mapping; null when it is not there.
Yaml Reader::role(const std::string& name) const {
  const Yaml servers = top("servers");
  if (is_nothing(servers)) return nullptr;
  if (servers->is(Kind::kMapping)) return servers->find(name);
  return is_open(servers) || name == "web" ? servers : nullptr;
}

std::vector<KamalHost> Reader::hosts_of_role(const std::string& name) const {
  const Yaml value = role(name);
  const std::string shown = "servers/" + name;
  if (value == nullptr || !value->is(Kind::kMapping)) return hosts_in(value, shown);
  return hosts_in(value->find("hosts"), shown + "/hosts");
}

void Reader::read_hosts() {
  const KamalValue primary = word(top("primary_role"), "primary_role");
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

void Reader::read_volumes() {
  for (const Yaml& item : list(top("volumes"), "volumes")) add_volume(app_.volumes, item, "volumes");
  for (const std::string& name : role_names()) {
    const Yaml value = role(name);
    if (value == nullptr || !value->is(Kind::kMapping)) continue;
    std::vector<KamalVolume> volumes;
    add_options(volumes, value->find("options"), "servers/" + name);
    for (KamalVolume& volume : volumes) {
      if (name != app_.primary_role) volume.hosts = hosts_of_role(name);
      app_.volumes.push_back(std::move(volume));
    }
  }
  const Yaml accessories = top("accessories");
  if (is_nothing(accessories) || is_open(accessories)) return;
  if (!accessories->is(Kind::kMapping)) refuse(*accessories, "accessories", "a mapping");
  for (const auto& [name, accessory] : accessories->entries) read_accessory(name->text, accessory);
}

void Reader::read_accessory(const std::string& name, const Yaml& accessory) {
  if (is_nothing(accessory) || is_open(accessory)) return;
  const std::string of = "accessories/" + name;
  std::vector<KamalVolume> volumes;
  for (const Yaml& item : list(at(accessory, "volumes", of), of + "/volumes")) add_volume(volumes, item, of);
  add_options(volumes, at(accessory, "options", of), of);
  read_directories(name, accessory, volumes);
  const std::vector<KamalHost> hosts = hosts_of_accessory(name, accessory);
  for (KamalVolume& volume : volumes) {
    volume.hosts = hosts;
    app_.volumes.push_back(std::move(volume));
  }
}

// `local:remote[:options]`, or a mapping with `local` and `remote`: directories on the host, below a
// directory in the login's home that is named for the accessory. (`files` are single files from this
// machine.)
void Reader::read_directories(const std::string& name, const Yaml& accessory,
                              std::vector<KamalVolume>& volumes) {
  const std::string of = "accessories/" + name;
  const KamalValue service = word(at(accessory, "service", of), of + "/service");
  const std::string below = service.said() ? service.text : app_.service.text + "-" + name;
  const std::string& below_erb = service.said() ? service.erb : app_.service.erb;
  for (const Yaml& item : list(at(accessory, "directories", of), of + "/directories")) {
    const std::size_t before = volumes.size();
    if (item->is(Kind::kMapping)) {
      const KamalValue local = word(item->find("local"), of + "/directories");
      const KamalValue remote = word(item->find("remote"), of + "/directories");
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

std::vector<KamalHost> Reader::hosts_of_tag(const std::string& tag) const {
  std::vector<KamalHost> hosts;
  for (const std::string& name : role_names()) {
    const Yaml value = role(name);
    if (value == nullptr) continue;
    const Yaml items = value->is(Kind::kMapping) ? value->find("hosts") : value;
    for (const Yaml& item : list(items, "servers/" + name))
      if (has_tag(item, tag)) add_host(hosts, host_in(item, "servers/" + name));
  }
  return hosts;
}

std::vector<KamalHost> Reader::hosts_of_accessory(const std::string& name, const Yaml& accessory) const {
  const std::string of = "accessories/" + name;
  std::vector<KamalHost> hosts;
  const auto each = [&](const char* key, auto use) {
    for (const Yaml& item : list(at(accessory, key, of), of + "/" + key)) use(item);
  };
  const auto add_all = [&](std::vector<KamalHost> more) {
    for (KamalHost& host : more) add_host(hosts, std::move(host));
  };
  for (const char* key : {"host", "hosts"})
    each(key, [&](const Yaml& item) { add_host(hosts, host_in(item, of + "/" + key)); });
  for (const char* key : {"role", "roles"})
    each(key, [&](const Yaml& item) { add_all(hosts_of_role(word(item, of).text)); });
  for (const char* key : {"tag", "tags"})
    each(key, [&](const Yaml& item) { add_all(hosts_of_tag(word(item, of).text)); });
  return hosts;
}

// Kamal leaves it to the server's shell to expand what follows a '$' or stands in backticks.
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
  if (!over) return Reader(first).read();
  const Yaml second = read_yaml(over->text, over->file);
  return Reader(is_nothing(second) ? first : deep_merge(first, second)).read();
}

KamalHost read_kamal_host(KamalValue text) {
  return host_of(std::move(text));
}

void add_kamal_volume(std::vector<KamalVolume>& volumes, const KamalValue& text) {
  const auto item = std::make_shared<YamlValue>();
  item->kind = Kind::kScalar;
  item->text = text.text;
  item->where = text.where;
  item->erb = text.erb;
  add_volume(volumes, item, "volumes");
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
  const bool is_path = source.starts_with('/') || source.starts_with("~/");
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
