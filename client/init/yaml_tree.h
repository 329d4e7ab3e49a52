// YAML as a tree of plain values, each with the line it is on and, where ERB decides it, the tag that does.
// The parser is yaml-cpp's, by events; the tree is ours, so that what a file may cost is bounded: nesting,
// the number of values, and what aliases and merge keys make of them. An alias shares the value it names.
// Pure. What breaks a rule is Error{kConfiguration} with file and line.
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
using Yaml = std::shared_ptr<const YamlValue>;  // never null

struct YamlValue {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  std::string text;                            // of a scalar, with ERB tags as they are written
  std::string where;                           // "config/deploy.yml:12"
  std::string erb;                             // "<%= ENV["HOST"] %>" when only Ruby can tell; else empty
  std::vector<Yaml> items;                     // of a sequence
  std::vector<std::pair<Yaml, Yaml>> entries;  // of a mapping; keys are different scalars
  std::size_t height = 0;                      // levels below

  // The value of `key`, or null when this is no mapping that has it.
  Yaml find(std::string_view key) const;
  bool is(Kind other) const { return kind == other; }
};

// The first document of `text`, which is ERB over YAML; null when it is empty. `file` is the name for
// messages, safe to print. Keys that are given twice, and `<<`, mean what they mean to Ruby's YAML.
Yaml read_yaml(std::string_view text, const std::string& file);

// As Kamal lays a destination's file over the first one: mappings are merged at every level, anything else is
// replaced (ActiveSupport's Hash#deep_merge).
Yaml deep_merge(const Yaml& base, const Yaml& over);

}  // namespace litepull
