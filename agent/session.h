// One run of the agent: it reads the client's request and hands it to the session that answers it (pull, look
// or restore).
#pragma once

#include <optional>
#include <string>

namespace litepull {

// The request is read from `in_fd`; the answers are written to `out_fd`. `storage` is the only directory that
// the agent may work in, where sudo's rule names one (agent/confine.h). Ends the process with the session's
// exit status: 0 when it did what was asked, else 1. Throws whatever goes wrong before there is a request.
[[noreturn]] void run_session(int in_fd, int out_fd, const std::optional<std::string>& storage);

}  // namespace litepull
