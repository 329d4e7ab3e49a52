// Checks a database file with SQLite itself. A file from a server may be hostile, so this runs in a child
// with limits (client/verify/verify.h starts it). The file is opened as immutable, and nothing is written.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/store/file_check.h"

namespace litepull {

// Never throws because of what is in the file: a file that cannot be read has a problem in the result. Calls
// `progress` often. Once damage was found, the check ends soon.
FileCheck check_file(const std::string& path, CheckDepth depth, std::function<void()> progress = {});

// The child's command for client/verify/verify.h. Limits this process, checks the file, and prints the result
// as JSON.
int check_file_command(const std::string& path, CheckDepth depth, std::uint64_t size_bytes);

}  // namespace litepull
