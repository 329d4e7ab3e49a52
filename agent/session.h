// One run of the agent: a request comes in on one descriptor; the databases go out on the other, or the
// answers to a restore.
#pragma once

namespace litepull {

// Ends the process. Its exit status: 0 when everything was sent that could be, problems of single databases
// included; 1 when the run failed as a whole (then the client was told why, if it is still there). Throws
// what goes wrong before there is a request.
[[noreturn]] void run_session(int in_fd, int out_fd);

}  // namespace litepull
