#include "common/database_name.h"

#include <algorithm>
#include <initializer_list>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxNameComponents = 16;

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](auto ending) { return text.ends_with(ending); });
}

}  // namespace

std::vector<std::string_view> components_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t slash; (slash = path.find('/')) != std::string_view::npos; path.remove_prefix(slash + 1))
    parts.push_back(path.substr(0, slash));
  parts.push_back(path);
  return parts;
}

bool is_database_name(std::string_view name) {
  if (!is_clean_utf8(name)) return false;
  const auto parts = components_of(name);
  if (parts.size() > kMaxNameComponents) return false;
  for (const std::string_view part : parts)
    if (part.empty() || part == "." || part == "..") return false;
  const std::string lower = folded_name(name), first = folded_name(parts.front());
  if (first == kManifestName || first == kNewManifestName || first == kHashesName) return false;
  return !ends_with_any(lower, {"-wal", "-shm", "-journal"});
}

std::string folded_name(std::string_view name) {
  std::string lower(name);
  for (char& letter : lower)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return lower;
}

}  // namespace litepull
