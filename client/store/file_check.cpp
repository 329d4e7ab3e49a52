#include "client/store/file_check.h"

#include <algorithm>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxNamedParts = 3;

std::string first_of(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kMaxNamedParts); ++i)
    text += (i == 0 ? "" : "; ") + printable(lines[i]);
  if (lines.size() > kMaxNamedParts)
    text += "; and " + std::to_string(lines.size() - kMaxNamedParts) + " more";
  return text;
}

}  // namespace

bool only_not_checked(const std::vector<std::string>& problems) {
  return !problems.empty() && std::all_of(problems.begin(), problems.end(), [](const std::string& problem) {
    return problem.starts_with(kNotChecked);
  });
}

std::string unchecked_text(const std::vector<std::string>& parts) {
  return "sound as far as it could be checked; left out: " + first_of(parts);
}

std::string foreign_keys_unchecked_text(const std::vector<std::string>& tables) {
  return "foreign keys could not be checked: " + first_of(tables);
}

}  // namespace litepull
