// The wall clock, for names and for people. Durations are measured with monotonic_us of common/posix.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace litepull {

inline std::int64_t unix_ms_now() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// How far a snapshot's time may be ahead of this machine's clock, since clocks are often set a little. A
// snapshot further ahead is "from the future" everywhere: in `latest`, in numbers, in `status` and in
// retention.
inline constexpr std::int64_t kClockToleranceS = 24 * 3600;

inline bool is_from_future(std::int64_t unix_s, std::int64_t now_unix_s) {
  return unix_s > now_unix_s && unix_s - now_unix_s > kClockToleranceS;
}

// "2026-11-22T01:00:00.123Z" (RFC 3339, always UTC, always milliseconds).
std::string rfc3339_utc(std::int64_t unix_ms);
// The same instant for people: "2026-11-22 02:00:00 +0100", local time; the text itself if it has another
// form.
std::string local_time(const std::string& rfc3339);
// The instant that the text names; nullopt unless it has exactly this form.
std::optional<std::int64_t> parse_rfc3339_utc(const std::string& text);

}  // namespace litepull
