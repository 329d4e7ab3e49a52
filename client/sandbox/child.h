// Work on content that may be hostile, in a child process of this very program: it runs a hidden command
// (client/main.cpp knows them), limits itself before it opens anything, and prints its result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// How long a child may go without a sign that its work goes on. No time for the work as a whole is set: the
// slowest disk and the largest database are no reason to call a check off.
inline constexpr std::uint64_t kMaxStallMs = 600'000;

inline constexpr std::size_t kMaxInnerInputBytes = 4096;  // what a pipe takes at once, however small it is

// Runs `litepull ARGUMENTS...` and returns what it printed on stdout, without the blanks before that; its
// stdin is `input`, of at most kMaxInnerInputBytes, its stderr ours. Throws Error{kFailed} when it cannot be
// started, gives no sign of life for `max_stall_ms`, prints more than `max_output_bytes`, or does not end
// with status 0: the message says which limit it was. Error{kCancelled}. The child is gone in any case.
std::string run_inner_command(const std::vector<std::string>& arguments, std::size_t max_output_bytes,
                              const Cancel& cancel, std::uint64_t max_stall_ms = kMaxStallMs,
                              std::string_view input = {});

// Of the child's processor time: a second for each 100 kB, after the first hour. What grows with the file is
// looking up each entry of each index. The smallest takes 9 bytes and some 4 microseconds; this gives it 90.
std::uint64_t max_cpu_s(std::uint64_t size_bytes);

// Of the child's address space: what SQLite keeps for each page, and a few copies of the largest value.
std::uint64_t max_memory_bytes(std::uint64_t size_bytes);

// In the child, before anything is opened: bounds for memory and processor time in proportion to the
// `size_bytes` it is to read, no core file, no byte written to any file (unless `may_write`), and no life
// after the parent's.
void limit_this_process(std::uint64_t size_bytes, bool may_write = false);

// In the child: the sign of life, a blank on stdout, at most four times a second however often it is called.
std::function<void()> sign_of_life();

// Why a child has not done its work, by what waitpid(2) says of it; empty when it ended with status 0.
std::string end_of_child(int wait_status);

}  // namespace litepull
