// One run of the agent: a request comes in on one descriptor; the databases go out on the other, or the
// answers to a restore.
#pragma once

#include <optional>
#include <string>

namespace litepull {

// `storage`: the only directory that it may work in, where sudo's rule names one; see agent/confine.h. Ends
// the process. Its exit status: 0 when everything was sent that could be, problems of single databases
// included; 1 when the run failed as a whole (then the client was told why, if it is still there). Throws
// what goes wrong before there is a request.
[[noreturn]] void run_session(int in_fd, int out_fd, const std::optional<std::string>& storage);

}  // namespace litepull
