// A word to a monitoring service of the kind of healthchecks.io: URL/start when a run begins, URL when it was
// good, URL/fail with a text when it was not. A service that does not answer is no reason to fail a backup:
// what went wrong is returned, and it takes no longer than kPingSeconds. The URL is a secret of sorts, and in
// no message. Any thread.
#pragma once

#include <string>

namespace litepull {

enum class PingEvent { kStart, kSuccess, kFailure };

inline constexpr int kPingSeconds = 10;  // with its second try, if there is one

// Empty when `url` can be pinged, else how it must be, as the end of a sentence.
std::string why_not_pingable(const std::string& url);

// Scheme and host. Precondition for this and the next: `url` can be pinged.
std::string shown_url(const std::string& url);

// Empty when it was answered with 2xx, else what happened. `text` goes with kFailure, as the body of a POST.
std::string ping(const std::string& url, PingEvent event, const std::string& text = {},
                 int timeout_ms = kPingSeconds * 1000);

}  // namespace litepull
