// Which known word a mistyped name probably means.
#pragma once

#include <span>
#include <string_view>

namespace litepull {

// The one of `words` that is at most two letters away from `name`, whatever their case; empty when there is
// none.
std::string_view near_word(std::string_view name, std::span<const std::string_view> words);

}  // namespace litepull
