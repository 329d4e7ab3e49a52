// Pings a monitoring service such as healthchecks.io: URL/start when a run begins, URL if it was good, and
// URL/fail with a text if it was not. A service that does not answer must not fail a backup, so problems are
// returned, and a ping takes at most kPingSeconds. Whoever knows the URL can ping it, so no message shows it.
// Any thread.
#pragma once

#include <string>

#include "client/config/ping_url.h"

namespace litepull {

enum class PingEvent { kStart, kSuccess, kFailure };

inline constexpr int kPingSeconds = 10;  // for both tries together

// Returns an empty string if the answer was 2xx, else what happened. With kFailure, `text` is sent as the
// body of a POST.
std::string ping(const std::string& url, PingEvent event, const std::string& text = {},
                 int timeout_ms = kPingSeconds * 1000);

}  // namespace litepull
