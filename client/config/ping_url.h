// The URL of a monitoring service, as text: nothing is asked for. It is a secret of sorts, and in no message.
#pragma once

#include <string>

namespace litepull {

// Empty when `url` can be pinged, else how it must be, as the end of a sentence.
std::string why_not_pingable(const std::string& url);

// Scheme and host. Precondition for this and the next: `url` can be pinged.
std::string shown_url(const std::string& url);

// With `end` behind its path; what follows the path, a query say, stays behind it.
std::string with_path_end(const std::string& url, const std::string& end);

}  // namespace litepull
