// Work on content that may be hostile, in a child process of this very program: it runs a hidden command
// (client/main.cpp knows them), limits itself before it opens anything, and prints its result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/cancel.h"

namespace litepull {

// Runs `litepull ARGUMENTS...` and returns what it printed on stdout; its stdin is empty, its stderr ours.
// Throws Error{kFailed} when it cannot be started, takes longer than `timeout_s`, prints more than
// `max_output_bytes`, or does not end with status 0; Error{kCancelled}. The child is gone in any case.
std::string run_inner_command(const std::vector<std::string>& arguments, std::uint64_t timeout_s,
                              std::size_t max_output_bytes, const Cancel& cancel);

// In the child, before anything is opened: bounds for memory and processor time in proportion to the
// `size_bytes` it is to read, no core file, no byte written to any file (unless `may_write`), and no life
// after the parent's.
void limit_this_process(std::uint64_t size_bytes, bool may_write = false);

}  // namespace litepull
