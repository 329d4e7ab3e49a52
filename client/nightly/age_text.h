// How long ago something was, for people.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "client/base/clock.h"

namespace litepull {

// "12 min", "9 h", "3 days"; "future" for what is further ahead than clocks may be.
inline std::string age_text(std::int64_t age_s) {
  if (is_from_future(0, age_s)) return "future";
  if (age_s < 3600) return fmt::format("{} min", std::max<std::int64_t>(age_s, 0) / 60);
  if (age_s < 2 * 86400) return fmt::format("{} h", age_s / 3600);
  return fmt::format("{} days", age_s / 86400);
}

}  // namespace litepull
