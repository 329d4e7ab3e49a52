// The process table, as /proc shows it. Processes come and go meanwhile: one that has gone is left out.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace litepull::test {

struct ProcessEntry {
  pid_t pid;
  pid_t parent;
  std::string name;  // the first 15 bytes
};

std::vector<ProcessEntry> processes();  // without zombies

// Children, their children, and so on. One whose parent has died is nobody's descendant any more.
std::vector<ProcessEntry> descendants_of(pid_t pid);

// Those that were started with this variable in their environment and that we may look at.
std::vector<ProcessEntry> processes_with_environment(const std::string& name_and_value);

}  // namespace litepull::test
