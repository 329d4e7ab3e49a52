#include "common/glob.h"

#include <algorithm>

#include "common/database_name.h"

namespace litepull {
namespace {

constexpr std::string_view kAnyDirectories = "**";
constexpr std::size_t kNone = std::string_view::npos;

// A final `**` must match at least a name: `a/**` becomes `a/**/*`, and `**` alone is `*`.
std::vector<std::string_view> pattern_components(std::string_view pattern) {
  auto parts = components_of(pattern);
  if (parts.size() == 1 && parts[0] == kAnyDirectories) return {"*"};
  if (parts.back() == kAnyDirectories) parts.push_back("*");
  return parts;
}

// Length of the set at the start of `pattern`, brackets included; 0 when it is never closed, and then the
// bracket is an ordinary byte. The first member may be ']'.
std::size_t set_length(std::string_view pattern) {
  const std::size_t first = pattern.size() > 1 && (pattern[1] == '!' || pattern[1] == '^') ? 2 : 1;
  const std::size_t close = pattern.find(']', first + 1);
  return close == kNone ? 0 : close + 1;
}

bool set_holds(std::string_view set, char byte) {
  std::string_view members = set.substr(1, set.size() - 2);
  const bool negated = members[0] == '!' || members[0] == '^';
  if (negated) members.remove_prefix(1);
  const auto code = static_cast<unsigned char>(byte);
  bool held = false;
  while (!members.empty()) {
    const bool range = members.size() > 2 && members[1] == '-';
    const auto low = static_cast<unsigned char>(members[0]);
    const auto high = static_cast<unsigned char>(members[range ? 2 : 0]);
    held = held || (low <= code && code <= high);
    members.remove_prefix(range ? 3 : 1);
  }
  return held != negated;
}

// How many bytes of `pattern` (not empty, not at a star) `byte` uses up; 0 when it does not fit.
std::size_t match_byte(std::string_view pattern, char byte) {
  if (pattern[0] == '?') return 1;
  const std::size_t set = pattern[0] == '[' ? set_length(pattern) : 0;
  if (set > 0) return set_holds(pattern.substr(0, set), byte) ? set : 0;
  return pattern[0] == byte ? 1 : 0;
}

// Only the last star is ever tried again, one byte further on: whatever an earlier star could give up, the
// later one can take as well. That keeps the cost at the product of the lengths.
bool component_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, after_star = kNone, star_end = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      star_end = n;
      continue;
    }
    const std::size_t used = p < pattern.size() ? match_byte(pattern.substr(p), name[n]) : 0;
    if (used == 0 && after_star == kNone) return false;
    p = used > 0 ? p + used : after_star;
    n = used > 0 ? n + 1 : ++star_end;
  }
  p = pattern.find_first_not_of('*', p);
  return p == kNone && !name.empty();
}

using Components = std::vector<std::string_view>;

// `**` may stand for no directory at all.
void pass_over_stars(const Components& patterns, std::vector<bool>& places) {
  for (std::size_t i = 0; i < patterns.size(); ++i)
    if (places[i] && patterns[i] == kAnyDirectories) places[i + 1] = true;
}

// Of each place between components, and before and after them: can `names` have been matched up to there?
std::vector<bool> places_after(const Components& patterns, const Components& names) {
  std::vector<bool> places(patterns.size() + 1);
  places[0] = true;
  pass_over_stars(patterns, places);
  for (const std::string_view name : names) {
    std::vector<bool> next(places.size());
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (!places[i]) continue;
      if (patterns[i] == kAnyDirectories)
        next[i] = true;
      else if (component_matches(patterns[i], name))
        next[i + 1] = true;
    }
    pass_over_stars(patterns, next);
    places = std::move(next);
  }
  return places;
}

// A set of one byte, as glob_for() writes it, is a name as well.
bool spells(std::string_view pattern, std::string_view name) {
  for (const char byte : name) {
    if (pattern.empty() || pattern[0] == '*' || pattern[0] == '?') return false;
    const bool one = pattern.size() >= 3 && pattern[0] == '[' && pattern[2] == ']';
    if (!one && pattern[0] == '[' && set_length(pattern) > 0) return false;
    if (pattern[one ? 1 : 0] != byte) return false;
    pattern.remove_prefix(one ? 3 : 1);
  }
  return pattern.empty();
}

bool begins_with_name(const Components& patterns, const Components& names) {
  return names.size() < patterns.size() &&
         std::equal(names.begin(), names.end(), patterns.begin(),
                    [](std::string_view name, std::string_view pattern) { return spells(pattern, name); });
}

// `**` and then `*`: whatever is there.
bool matches_all(const Components& patterns, std::size_t from) {
  if (patterns[from] != kAnyDirectories) return false;
  while (from < patterns.size() && patterns[from] == kAnyDirectories) ++from;
  return from + 1 == patterns.size() && patterns[from].find_first_not_of('*') == kNone;
}

}  // namespace

// The same walk as component_matches, a component at a time, with `**` for the star.
bool glob_matches(std::string_view pattern, std::string_view path) {
  const auto patterns = pattern_components(pattern);
  const auto names = components_of(path);
  std::size_t p = 0, n = 0, after_star = kNone, star_end = 0;
  while (n < names.size()) {
    if (p < patterns.size() && patterns[p] == kAnyDirectories) {
      after_star = ++p;
      star_end = n;
      continue;
    }
    const bool fits = p < patterns.size() && component_matches(patterns[p], names[n]);
    if (!fits && after_star == kNone) return false;
    p = fits ? p + 1 : after_star;
    n = fits ? n + 1 : ++star_end;
  }
  return p == patterns.size();
}

bool glob_matches_any(const std::vector<std::string>& patterns, std::string_view path) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return glob_matches(pattern, path); });
}

std::string glob_for(std::string_view path) {
  std::string glob;
  for (const char c : path) {
    const bool special = c == '*' || c == '?' || c == '[';
    glob += special ? std::string("[") + c + "]" : std::string(1, c);
  }
  return glob;
}

// Where in the pattern one can be once all of the directory's components are used up.
Reach glob_reach(std::string_view pattern, std::string_view directory) {
  const auto patterns = pattern_components(pattern);
  const std::vector<bool> places = places_after(patterns, components_of(directory));
  if (std::find(places.begin(), places.end() - 1, true) == places.end() - 1) return Reach::kNone;
  return begins_with_name(patterns, components_of(directory)) ? Reach::kByName : Reach::kByWildcard;
}

Reach glob_reach(const std::vector<std::string>& patterns, std::string_view directory) {
  Reach strongest = Reach::kNone;
  for (const std::string& pattern : patterns) strongest = std::max(strongest, glob_reach(pattern, directory));
  return strongest;
}

bool glob_covers(const std::vector<std::string>& patterns, std::string_view directory) {
  const auto names = components_of(directory);
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    const auto parts = pattern_components(pattern);
    const std::vector<bool> places = places_after(parts, names);
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (places[i] && matches_all(parts, i)) return true;
    return false;
  });
}

}  // namespace litepull
