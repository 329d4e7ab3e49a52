// Shortens names where there is room for short ones only. A shortened name never equals a name that is not
// shortened, and two names with the same beginning stay different, because a shortened name ends with its
// length and a digest.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// Returns `name` itself when it has at most `max_bytes` (which is at least 100). Otherwise returns as much of
// its beginning as fits, in whole UTF-8 characters, and "... (N bytes, xxh128 DIGEST)". The digest does not
// protect against a person who searches for two names with the same digest. Code that uses the result as a
// key must check that itself.
std::string short_name(std::string_view name, std::size_t max_bytes);

// Returns as much of a sentence as fits, in whole characters, with "..." at its end when something was cut.
std::string short_text(std::string_view text, std::size_t max_bytes);

}  // namespace litepull
