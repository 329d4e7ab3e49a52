// Lengths of time as people type them.
#pragma once

#include <optional>
#include <string>

namespace litepull {

// "90", "45s", "15m", "2h", "1d", "1h30m". A number without a unit counts `unit_s` seconds each. Returns
// seconds; nullopt if it is none of these, or more than a year.
std::optional<int> parse_duration_s(const std::string& text, int unit_s);

}  // namespace litepull
