// Who keeps a database locked, for a message: what /proc/locks says. Nothing here opens the database's file:
// closing it would give up this process's own locks (fcntl(2)).
#pragma once

#include <string>

namespace litepull {

// "process 123 (puma)", which has a write lock on the database's file or on its shared memory; empty when no
// such process can be seen.
std::string lock_holder_of(const std::string& path);

}  // namespace litepull
