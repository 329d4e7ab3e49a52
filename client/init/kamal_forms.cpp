#include "client/init/kamal_forms.h"

#include <algorithm>
#include <utility>

#include "client/base/host_name.h"
#include "client/config/path_text.h"
#include "common/error.h"

namespace litepull {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

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

// The server's shell expands these before docker sees them. A relative path starts in the login's home
// directory.
std::string from_home(const std::string& source) {
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

// A part of the value, with `text`. Its ERB may be in the other part.
KamalValue part(const YamlValue& value, std::string_view text) {
  const bool open = !value.erb.empty() &&
                    (value.text.find("<%") == std::string::npos || text.find("<%") != std::string_view::npos);
  return {std::string(text), value.where, open ? value.erb : ""};
}

// The offset of the first ':' outside of ERB tags.
std::size_t colon_in(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("<%")) i = std::min(text.find("%>", i), text.size());
    if (i < text.size() && text[i] == ':') return i;
  }
  return std::string_view::npos;
}

// Reads `type=volume,source=app_storage,target=/rails/storage`, the form of docker's --mount.
void add_mount(std::vector<KamalVolume>& volumes, const Yaml& item, const std::string& of) {
  const KamalValue spec = word_of(item, of);
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

}  // namespace

void refuse_form(const YamlValue& value, const std::string& name, const std::string& rule) {
  throw Error(ErrorKind::kConfiguration, value.where + ": " + printable(name) + " must be " + rule,
              "mend the file; kamal config says whether Kamal can read it");
}

bool only_ruby_knows(const Yaml& value) {
  return value != nullptr && !value->erb.empty() && !value->is(YamlKind::kSequence) &&
         !value->is(YamlKind::kMapping);
}

bool is_nothing(const Yaml& value) {
  return value == nullptr || (value->is(YamlKind::kNull) && value->erb.empty());
}

KamalValue word_of(const Yaml& value, const std::string& name) {
  if (is_nothing(value)) return {};
  if (value->is(YamlKind::kSequence) || value->is(YamlKind::kMapping)) refuse_form(*value, name, "one word");
  return {value->text, value->where, value->erb};
}

Yaml value_at(const Yaml& mapping, const std::string& key, const std::string& name) {
  if (is_nothing(mapping)) return nullptr;
  if (only_ruby_knows(mapping)) return mapping;
  if (!mapping->is(YamlKind::kMapping)) refuse_form(*mapping, name, "a mapping");
  return mapping->find(key);
}

std::vector<Yaml> items_of(const Yaml& value, const std::string& name) {
  if (is_nothing(value)) return {};
  if (value->is(YamlKind::kMapping)) refuse_form(*value, name, "a list");
  return value->is(YamlKind::kSequence) ? value->items : std::vector<Yaml>{value};
}

KamalHost host_in(const Yaml& item, const std::string& name) {
  if (!item->is(YamlKind::kMapping)) return host_of(word_of(item, name));
  if (item->entries.size() != 1) refuse_form(*item, name, "a host, or one host with its tags");
  return host_of(word_of(item->entries.front().first, name));
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
  for (const Yaml& item : items_of(value, name)) add_host(hosts, host_in(item, name));
  return hosts;
}

bool has_tag(const Yaml& item, const std::string& tag) {
  if (!item->is(YamlKind::kMapping) || item->entries.size() != 1) return false;
  const Yaml& tags = item->entries.front().second;
  if (tags->is(YamlKind::kScalar)) return tags->text == tag;
  return std::any_of(tags->items.begin(), tags->items.end(),
                     [&](const Yaml& one) { return one->text == tag; });
}

void add_volume(std::vector<KamalVolume>& volumes, const Yaml& item, const std::string& of) {
  const KamalValue spec = word_of(item, of);
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

void add_options(std::vector<KamalVolume>& volumes, const Yaml& options, const std::string& of) {
  const std::string name = of + "/options";
  for (const Yaml& item : items_of(value_at(options, "volume", name), name + "/volume"))
    add_volume(volumes, item, name);
  for (const Yaml& item : items_of(value_at(options, "mount", name), name + "/mount"))
    add_mount(volumes, item, name);
}

KamalHost read_kamal_host(KamalValue text) {
  return host_of(std::move(text));
}

void add_kamal_volume(std::vector<KamalVolume>& volumes, const KamalValue& text) {
  const auto item = std::make_shared<YamlValue>();
  item->kind = YamlKind::kScalar;
  item->text = text.text;
  item->where = text.where;
  item->erb = text.erb;
  add_volume(volumes, item, "volumes");
}

}  // namespace litepull
