// Compares two database files that may be hostile. client/diff/diff.h does this in a child with limits. The
// files are opened as immutable, and nothing is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "client/diff/file_diff.h"

namespace litepull {

// Takes absolute paths. Reports at most `rows_per_table` rows of each table. Never throws for what is in the
// files: if they cannot be compared, the result has an error. Calls `progress` often.
FileDiff diff_files(const std::string& a, const std::string& b, std::size_t rows_per_table,
                    std::function<void()> progress = {});

// The hidden command. Limits this process to what reading `size_bytes` takes, compares the files, and prints
// JSON. Returns 0.
int diff_files_command(const std::string& a, const std::string& b, std::size_t rows_per_table,
                       std::uint64_t size_bytes);

}  // namespace litepull
