// Finds the process that keeps a database locked, for a message, in /proc/locks. Nothing here opens the
// database's file, because closing it would release this process's own locks (fcntl(2)).
#pragma once

#include <string>

namespace litepull {

// Returns, as "process 123 (puma)", the process that has a write lock on the database's file or on its shared
// memory. Empty when no such process can be seen.
std::string lock_holder_of(const std::string& path);

}  // namespace litepull
