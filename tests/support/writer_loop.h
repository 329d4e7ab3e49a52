// What bank_writer and pair_writer have in common: commit in a loop, acknowledge each commit in a file,
// keep to a rate, measure, and stop cleanly on SIGTERM, SIGINT, after --seconds, or when the parent is gone
// (so that a test that was killed leaves no writer behind).
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace litepull::test {

struct WriterOptions {
  std::string ack_path;      // holds the newest commit number, 8 bytes little-endian, once COMMIT returned
  std::string latency_path;  // written at the end: count, p50, p99, p99.9 and max of the commits, in us
  double rate_per_s = 0;     // 0: as fast as it can
  double seconds = 0;        // 0: until it is told to stop
};

void add_writer_options(CLI::App& app, WriterOptions& options);

// Calls `commit_one`, which returns the number of the commit it made, until told to stop. Prints "ready" on
// standard output after the first. Throws what `commit_one` throws.
void run_writer(const WriterOptions& options, const std::function<std::uint64_t()>& commit_one);

// The number in an ack file: every commit up to it is on the disk. 0 when nothing was acknowledged yet.
std::uint64_t read_ack(const std::string& path);

}  // namespace litepull::test
