// YAML as a tree of plain values. Each value has its line and, if ERB decides it, the tag that does. yaml-cpp
// parses the text into events, and the tree is built here. So the cost of a file is bounded: its nesting, its
// number of values, and how aliases and merge keys multiply them. An alias shares the value that it names.
// Pure. A text that breaks a rule is Error{kConfiguration} with file and line.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/init/erb.h"

namespace litepull {

inline constexpr std::size_t kMaxYamlBytes = 256 * 1024;
inline constexpr std::size_t kMaxYamlNesting = 64;
inline constexpr std::size_t kMaxYamlValues = 100'000;  // with those that aliases and merging repeat

struct YamlValue;
using Yaml = std::shared_ptr<const YamlValue>;  // null only where a comment says so

enum class YamlKind { kNull, kScalar, kSequence, kMapping };

struct YamlValue {
  YamlKind kind = YamlKind::kNull;
  std::string text;                            // of a scalar, with ERB tags as they are written
  std::string where;                           // "config/deploy.yml:12"
  std::string erb;                             // "<%= ENV["HOST"] %>" when only Ruby can tell; else empty
  std::vector<Yaml> items;                     // of a sequence
  std::vector<std::pair<Yaml, Yaml>> entries;  // of a mapping; keys are different scalars
  std::size_t height = 0;                      // levels below

  // The value of `key`, or null when this is no mapping that has it.
  Yaml find(std::string_view key) const;
  bool is(YamlKind other) const { return kind == other; }
};

// The first document of `text`, which is YAML with ERB in it; null when it is empty. `file` is the name for
// messages, safe to print. Repeated keys and `<<` mean what they mean to Ruby's YAML.
Yaml read_yaml(std::string_view text, const std::string& file);

// Merges a destination's file over the first one, as Kamal does: mappings are merged at every level, anything
// else is replaced (ActiveSupport's Hash#deep_merge).
Yaml deep_merge(const Yaml& base, const Yaml& over);

}  // namespace litepull
