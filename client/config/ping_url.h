// The URL of a monitoring service, as text; nothing is requested here. Anybody who knows it can ping it, so
// no message shows it.
#pragma once

#include <string>

namespace litepull {

// Empty when `url` can be pinged; else what it must be, as the end of a sentence.
std::string why_not_pingable(const std::string& url);

// Scheme and host. Precondition for this and the next: `url` can be pinged.
std::string shown_url(const std::string& url);

// The URL with `end` after its path. A query and what else follows the path stay after it.
std::string with_path_end(const std::string& url, const std::string& end);

}  // namespace litepull
