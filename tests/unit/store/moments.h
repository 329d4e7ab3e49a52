// Lengths of time, and the moment at which these tests take place.
#pragma once

#include <cstdint>

namespace litepull {

inline constexpr std::int64_t kHourS = 3600;
inline constexpr std::int64_t kDayS = 24 * kHourS;
inline constexpr std::int64_t kNow = 1'795'309'200;  // 2026-11-22T020000+0100

}  // namespace litepull
