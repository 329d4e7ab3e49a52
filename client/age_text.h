// How long ago something was, for people.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace litepull {

// "12 min", "9 h", "3 days"; "future" for what is still to come.
inline std::string age_text(std::int64_t age_s) {
  if (age_s < 0) return "future";
  if (age_s < 3600) return fmt::format("{} min", age_s / 60);
  if (age_s < 2 * 86400) return fmt::format("{} h", age_s / 3600);
  return fmt::format("{} days", age_s / 86400);
}

}  // namespace litepull
