#include "common/glob.h"

#include <algorithm>

namespace litepull {
namespace {

constexpr std::string_view kAnyDirectories = "**";
constexpr std::size_t kNone = std::string_view::npos;

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t slash; (slash = path.find('/')) != kNone; path.remove_prefix(slash + 1))
    parts.push_back(path.substr(0, slash));
  parts.push_back(path);
  return parts;
}

// A final `**` must match at least a name: `a/**` becomes `a/**/*`, and `**` alone is `*`.
std::vector<std::string_view> pattern_components(std::string_view pattern) {
  auto parts = components(pattern);
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

}  // namespace

// The same walk as component_matches, a component at a time, with `**` for the star.
bool glob_matches(std::string_view pattern, std::string_view path) {
  const auto patterns = pattern_components(pattern);
  const auto names = components(path);
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

bool glob_descends(const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [](const std::string& pattern) { return pattern.find('/') != kNone; });
}

}  // namespace litepull
