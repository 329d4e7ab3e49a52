// What a database file is worth, found out by SQLite itself. A file from a server may be hostile, so this is
// for a process of its own with limits (client/verify/verify.h starts it); the file is opened as immutable
// and nothing is written.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/store/file_check.h"

namespace litepull {

// Never throws for what is in the file: a file that cannot be read is one with a problem. Calls `progress`
// often. A file in which damage was found is not looked at for much longer.
FileCheck check_file(const std::string& path, CheckDepth depth, std::function<void()> progress = {});

// The hidden command behind client/verify/verify.h: limits this process, checks, prints the result as JSON.
int check_file_command(const std::string& path, CheckDepth depth, std::uint64_t size_bytes);

}  // namespace litepull
