#include "client/base/clock.h"

#include <cstdio>
#include <ctime>

namespace litepull {

std::string rfc3339_utc(std::int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> instant{std::chrono::milliseconds(unix_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(instant - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::string local_time(const std::string& rfc3339) {
  const auto unix_ms = parse_rfc3339_utc(rfc3339);
  if (!unix_ms) return rfc3339;
  const std::time_t instant = static_cast<std::time_t>(*unix_ms / 1000);
  std::tm local{};
  ::tzset();  // POSIX does not require it of localtime_r
  if (::localtime_r(&instant, &local) == nullptr) return rfc3339;
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &local);
  return size == 0 ? rfc3339 : std::string(text, size);
}

std::optional<std::int64_t> parse_rfc3339_utc(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hours = 0, minutes = 0, seconds = 0, ms = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u.%3uZ", &year, &month, &day, &hours, &minutes,
                  &seconds, &ms) != 7)
    return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t unix_ms = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms;
  // A text of another form differs from what is written for its instant.
  return rfc3339_utc(unix_ms) == text ? std::optional(unix_ms) : std::nullopt;
}

}  // namespace litepull
