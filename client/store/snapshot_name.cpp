#include "client/store/snapshot_name.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::string_view kShape = "dddd-dd-ddTddddddsdddd";  // d: a digit, s: a sign
constexpr int kMaxOffsetMin = 14 * 60 + 59;
constexpr std::int64_t kMinuteS = 60;

bool fits(char shape, char letter) {
  if (shape == 'd') return letter >= '0' && letter <= '9';
  if (shape == 's') return letter == '+' || letter == '-';
  return letter == shape;
}

bool has_shape(std::string_view name) {
  if (name.size() != kShape.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i)
    if (!fits(kShape[i], name[i])) return false;
  return true;
}

int number(std::string_view name, std::size_t at, std::size_t length) {
  int value = 0;
  for (const char digit : name.substr(at, length)) value = value * 10 + (digit - '0');
  return value;
}

std::chrono::year_month_day date_in(std::string_view name) {
  return {std::chrono::year(number(name, 0, 4)),
          std::chrono::month(static_cast<unsigned>(number(name, 5, 2))),
          std::chrono::day(static_cast<unsigned>(number(name, 8, 2)))};
}

std::optional<int> offset_of(std::string_view name) {
  const int minutes = number(name, 20, 2);
  const int offset_min = number(name, 18, 2) * 60 + minutes;
  const bool west = name[17] == '-';
  if (minutes > 59 || offset_min > kMaxOffsetMin) return std::nullopt;
  if (west && offset_min == 0)
    return std::nullopt;  // "offset not known" (RFC 3339, 4.3); no snapshot has that
  return west ? -offset_min : offset_min;
}

}  // namespace

std::optional<SnapshotTime> parse_snapshot_name(std::string_view name) {
  if (!has_shape(name)) return std::nullopt;
  const auto date = date_in(name);
  const int hour = number(name, 11, 2), minute = number(name, 13, 2), second = number(name, 15, 2);
  const std::optional<int> offset_min = offset_of(name);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59 || !offset_min) return std::nullopt;
  const std::chrono::sys_seconds midnight = std::chrono::sys_days(date);
  const std::int64_t local_s = midnight.time_since_epoch().count() + hour * 3600 + minute * 60 + second;
  return SnapshotTime{local_s - *offset_min * kMinuteS, *offset_min};
}

std::string format_snapshot_name(SnapshotTime time) {
  const std::chrono::sys_seconds local(std::chrono::seconds(time.unix_s + time.offset_min * kMinuteS));
  const auto day = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(local - day);
  const int year = static_cast<int>(date.year()), offset_min = std::abs(time.offset_min);
  invariant(year >= 0 && year <= 9999 && offset_min <= kMaxOffsetMin, "a snapshot's time is out of range");
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d%02d%02d%c%02d%02d", year,
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), time.offset_min < 0 ? '-' : '+', offset_min / 60,
                offset_min % 60);
  return text;
}

SnapshotTime local_snapshot_time(std::int64_t unix_s) {
  const std::time_t instant = static_cast<std::time_t>(unix_s);
  std::tm local{};
  ::tzset();  // POSIX does not require it of localtime_r
  if (::localtime_r(&instant, &local) == nullptr) return {unix_s, 0};
  // Offsets are cut to minutes, and an offset that no name can hold becomes UTC. The name still means this
  // instant.
  const long offset_min = local.tm_gmtoff / 60;
  if (std::labs(offset_min) > kMaxOffsetMin) return {unix_s, 0};
  return {unix_s, static_cast<int>(offset_min)};
}

}  // namespace litepull
