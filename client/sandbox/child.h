// Runs work on content that may be hostile in a child process of this very program. The child runs a hidden
// command (client/main.cpp knows them), limits itself before it opens anything, and prints its result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// How long a child may run without a sign that its work goes on. The work as a whole has no time limit,
// because a slow disk or a large database is no reason to end a check.
inline constexpr std::uint64_t kMaxStallMs = 600'000;

inline constexpr std::size_t kMaxChildInputBytes = 4096;  // what a pipe takes at once, however small it is

// Runs `litepull ARGUMENTS...` and returns what it printed to stdout, without the blanks before that. Its
// stdin is `input`, of at most kMaxChildInputBytes; its stderr is ours. Throws Error{kFailed} when it cannot
// be started, gives no sign of life for `max_stall_ms`, prints more than `max_output_bytes`, or does not end
// with status 0. The message says which limit it was. Throws Error{kCancelled}. The child has ended in any
// case.
std::string run_child(const std::vector<std::string>& arguments, std::size_t max_output_bytes,
                      const Cancel& cancel, std::uint64_t max_stall_ms = kMaxStallMs,
                      std::string_view input = {});

// The limit of the child's processor time: a second for each 100 kB, after the first hour. The work that
// grows with the file is looking up each entry of each index. The smallest entry takes 9 bytes and about 4
// microseconds; this limit gives it 90.
std::uint64_t max_cpu_s(std::uint64_t size_bytes);

// The limit of the child's address space: what SQLite keeps for each page, and a few copies of the largest
// value.
std::uint64_t max_memory_bytes(std::uint64_t size_bytes);

// Call it in the child before anything is opened. It limits memory and processor time in proportion to the
// `size_bytes` that the child is to read. It allows no core file, no write to any file (unless `may_write`),
// and no life after the parent's.
void limit_this_process(std::uint64_t size_bytes, bool may_write = false);

// For the child: a function that gives the sign of life. It prints a blank to stdout, at most four times a
// second however often it is called.
std::function<void()> sign_of_life();

// Why a child has not done its work, from its status of waitpid(2). Empty when it ended with status 0.
std::string end_of_child(int wait_status);

}  // namespace litepull
