// A word to a monitoring service of the kind of healthchecks.io: URL/start when a run begins, URL when it was
// good, URL/fail with a text when it was not. A service that does not answer is no reason to fail a backup:
// what went wrong is returned, and it takes no longer than kPingSeconds. The URL is a secret of sorts, and in
// no message. Any thread.
#pragma once

#include <string>

#include "client/config/ping_url.h"

namespace litepull {

enum class PingEvent { kStart, kSuccess, kFailure };

inline constexpr int kPingSeconds = 10;  // with its second try, if there is one

// Empty when it was answered with 2xx, else what happened. `text` goes with kFailure, as the body of a POST.
std::string ping(const std::string& url, PingEvent event, const std::string& text = {},
                 int timeout_ms = kPingSeconds * 1000);

}  // namespace litepull
