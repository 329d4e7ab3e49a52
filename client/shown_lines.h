// What another program printed, in a sentence of ours.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// Its lines, safe to print and divided by "; ", without the line breaks.
std::string shown_lines(std::string_view text);

}  // namespace litepull
