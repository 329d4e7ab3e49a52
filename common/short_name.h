// Names of any length where there is room for short ones only. What is cut is never the same as what is not,
// and two names that begin alike stay two: the cut one ends with its length and a digest.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// `name` itself up to `max_bytes` (at least 100), else what fits of its beginning, whole characters of UTF-8,
// and "... (N bytes, xxh128 DIGEST)". The digest is no proof against somebody who looks for two names with
// one: whoever needs a key makes sure of it.
std::string short_name(std::string_view name, std::size_t max_bytes);

// What fits of a sentence, whole characters, with "..." at its end when something was cut.
std::string short_text(std::string_view text, std::size_t max_bytes);

}  // namespace litepull
