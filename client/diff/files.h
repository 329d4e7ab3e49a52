// Compares two database files that may be hostile: what client/diff/diff.h starts in a process of its own
// with limits. The files are opened as immutable, and nothing is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "client/diff/file_diff.h"

namespace litepull {

// Absolute paths. At most `rows_per_table` single rows are reported of each table. Never throws for what is
// in the files: what cannot be compared is a result with an error. Calls `progress` often.
FileDiff diff_files(const std::string& a, const std::string& b, std::size_t rows_per_table,
                    std::function<void()> progress = {});

// The hidden command: limits this process to what reading `size_bytes` takes, compares, prints JSON.
int diff_files_command(const std::string& a, const std::string& b, std::size_t rows_per_table,
                       std::uint64_t size_bytes);

}  // namespace litepull
