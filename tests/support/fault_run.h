// Runs a program with its file system calls below one directory logged, and one of them gone wrong. Calls of
// its children, and of threads it starts no others, are left alone; a program that is linked statically
// cannot be run so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace litepull::test {

// One call. Its kind is create, write, truncate, sync (fsync), hint (sync_file_range), rename, link, mkdir,
// unlink, mode or clone, each of which changes something, or open, read or close.
struct FileCall {
  std::string kind;
  bool struck =
      false;  // it was to go wrong; false: it succeeded. Those that failed by themselves are left out
  std::string path;
  std::string other_path;    // a rename's or a link's target
  std::uint64_t offset = 0;  // of a write; the length of a truncate
  std::size_t size = 0;      // of a write
  std::string data;          // of a write, when it was asked for
};

bool changes_something(const FileCall& call);

// What goes wrong: the call of this number, counted from 1 among those of its kind ("change": all that change
// something). Or the disk is full after so many bytes were written: {"write", bytes, "full", ENOSPC}.
struct Fault {
  std::string kind;
  int number = 0;
  // "kill" before the call, "fail" with `error`, "failing" from then on, or, for a write, "short" or "full".
  std::string action;
  int error = 0;

  std::string words() const;
};

struct FaultRun {
  ProcessResult process;
  std::vector<FileCall> calls;

  bool struck() const;
  int count(const std::string& kind) const;  // as a Fault counts
  std::string words() const;
};

// Why it cannot be done in this build; empty when it can.
std::string why_no_faults();

struct FaultOptions {
  Fault fault{};           // no kind: none
  bool with_data = false;  // of writes, in the log
  Milliseconds timeout{60'000};
};

// The environment in which a program is run so; `log` is then for read_calls.
Environment fault_environment(const std::string& library, const std::string& directory,
                              const std::string& log, const FaultOptions& options = {});
std::vector<FileCall> read_calls(const std::string& log);

// `library` is fault_fs.so, `log` a file that is made for it. Throws when the program was run without it.
FaultRun run_with_faults(const std::vector<std::string>& argv, const std::string& library,
                         const std::string& directory, const std::string& log,
                         const FaultOptions& options = {});

}  // namespace litepull::test
