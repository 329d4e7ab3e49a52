// What another program printed, in a sentence of ours.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// Its lines, safe to print and divided by "; ", without the line breaks.
std::string shown_lines(std::string_view text);

// Cuts a text that grows, now and then, to its last `kept_bytes`: the end of an output says how it ended.
void keep_end(std::string& text, std::size_t kept_bytes);

// The last `shown_bytes` of `text`, safe to print; "..." before them when there was more.
std::string shown_end(const std::string& text, std::size_t shown_bytes);

}  // namespace litepull
