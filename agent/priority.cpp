#include "agent/priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace litepull {

// On Linux both belong to a thread and not to a process (setpriority(2), ioprio_set(2)).
void yield_to_the_app() {
  setpriority(PRIO_PROCESS, 0, 10);
  constexpr int kWhoProcess = 1, kBestEffort = 2, kLowest = 7;
  syscall(SYS_ioprio_set, kWhoProcess, 0, kBestEffort << 13 | kLowest);
}

}  // namespace litepull
