#include "client/cli/duration.h"

#include <charconv>
#include <cstdint>

namespace litepull {
namespace {

constexpr std::int64_t kMaxDurationS = 366LL * 86400;

int seconds_of(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86400;
    default:
      return 0;
  }
}

}  // namespace

std::optional<int> parse_duration_s(const std::string& text, int unit_s) {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::int64_t total_s = 0, least_unit_s = kMaxDurationS;
  do {
    std::uint32_t number = 0;
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc()) return std::nullopt;
    const bool plain = read.ptr == end && at == text.data();
    const std::int64_t each_s = plain ? unit_s : read.ptr == end ? 0 : seconds_of(*read.ptr);
    if (each_s == 0 || each_s >= least_unit_s) return std::nullopt;
    total_s += each_s * number;
    if (total_s > kMaxDurationS) return std::nullopt;
    least_unit_s = each_s;
    at = plain ? end : read.ptr + 1;
  } while (at != end);
  return static_cast<int>(total_s);
}

}  // namespace litepull
