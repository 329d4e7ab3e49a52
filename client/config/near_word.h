// What somebody has probably meant who mistyped a name.
#pragma once

#include <span>
#include <string_view>

namespace litepull {

// Of `words`, which are in capitals, the one that is at most two letters away from `name`, whatever its case;
// else empty.
std::string_view near_word(std::string_view name, std::span<const std::string_view> words);

}  // namespace litepull
