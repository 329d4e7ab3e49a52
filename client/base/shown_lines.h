// What another program printed, made ready to stand in a message.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// Its lines in one line, safe to print, with "; " between them.
std::string shown_lines(std::string_view text);

// Cuts the beginning of a text that has grown past twice `kept_bytes`. The end of an output tells how it
// ended.
void keep_end(std::string& text, std::size_t kept_bytes);

// The last `shown_bytes` of `text`, safe to print, after "..." when there was more.
std::string shown_end(const std::string& text, std::size_t shown_bytes);

}  // namespace litepull
