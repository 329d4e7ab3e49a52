#include "client/store/unchecked_text.h"

#include <algorithm>

#include "client/base/console.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxNamed = 3;

std::string first_of(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kMaxNamed); ++i)
    text += (i == 0 ? "" : "; ") + printable(lines[i]);
  if (lines.size() > kMaxNamed) text += "; and " + std::to_string(lines.size() - kMaxNamed) + " more";
  return text;
}

}  // namespace

std::string unchecked_text(const std::vector<std::string>& parts) {
  return "sound as far as it could be checked; left out: " + first_of(parts);
}

std::string foreign_keys_unchecked_text(const std::vector<std::string>& tables) {
  return "foreign keys could not be checked: " + first_of(tables);
}

}  // namespace litepull
