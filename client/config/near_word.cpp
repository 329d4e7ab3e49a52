#include "client/config/near_word.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace litepull {
namespace {

constexpr std::size_t kNearMissEdits = 2;

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// Levenshtein distance, a row at a time.
std::size_t edits_between(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace

std::string_view near_word(std::string_view name, std::span<const std::string_view> words) {
  std::string_view nearest;
  std::size_t fewest = kNearMissEdits + 1;
  for (const std::string_view key : words) {
    if (name.size() > key.size() + kNearMissEdits) continue;
    const std::size_t edits = edits_between(upper_case(name), upper_case(key));
    if (edits < fewest) nearest = key;
    fewest = std::min(edits, fewest);
  }
  return nearest;
}

}  // namespace litepull
