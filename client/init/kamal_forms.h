// The forms in which Kamal's configuration writes words, lists, hosts and volumes. Only kamal_config.cpp uses
// this. `name` is the value's name in messages ("servers/web"). A value in another form is
// Error{kConfiguration} with file and line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/init/kamal_config.h"
#include "client/init/yaml_tree.h"

namespace litepull {

// Throws an error that says that the value must be `rule`, such as "a list".
[[noreturn]] void refuse_form(const YamlValue& value, const std::string& name, const std::string& rule);

// True when ERB decides whether the value is there, or when ERB stands where a list or a mapping should be.
bool only_ruby_knows(const Yaml& value);
bool is_nothing(const Yaml& value);  // null, or YAML's null without ERB

KamalValue word_of(const Yaml& value, const std::string& name);
// The value of `key` in a mapping; null when there is none; the mapping itself when only Ruby knows what is
// in it. `name` is the mapping's.
Yaml value_at(const Yaml& mapping, const std::string& key, const std::string& name);
// The items of a list; one word counts as a list of it.
std::vector<Yaml> items_of(const Yaml& value, const std::string& name);

// `10.0.0.1`, or with tags `10.0.0.1: tag` or `10.0.0.1: [tag, tag]`.
KamalHost host_in(const Yaml& item, const std::string& name);
std::vector<KamalHost> hosts_in(const Yaml& value, const std::string& name);
bool has_tag(const Yaml& item, const std::string& tag);
// Adds the host unless it has no name or is there already.
void add_host(std::vector<KamalHost>& hosts, KamalHost host);

// Reads `source:mount[:options]`, the form of docker's --volume. A volume without a source is ignored, since
// docker names it. `of` is the place in the file.
void add_volume(std::vector<KamalVolume>& volumes, const Yaml& item, const std::string& of);
// Reads `options` of a role or an accessory. Docker gets them as --NAME VALUE, once for each item of a list.
void add_options(std::vector<KamalVolume>& volumes, const Yaml& options, const std::string& of);

}  // namespace litepull
