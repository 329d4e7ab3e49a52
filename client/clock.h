// The wall clock, for names and for people; never for measuring (monotonic_us in common/posix.h does that).
#pragma once

#include <chrono>
#include <cstdint>

namespace litepull {

inline std::int64_t unix_ms_now() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace litepull
