// Checks the databases of a published snapshot, each in a child with limits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "client/base/cancel.h"
#include "client/config/verify_mode.h"
#include "client/sandbox/check_file.h"
#include "client/sandbox/child.h"
#include "client/store/manifest.h"

namespace litepull {

// Checks databases one after the other in the background, while others are still being received.
class Verifier {
 public:
  // Checks databases of the snapshot in `directory`. `cancel` must outlive this.
  Verifier(VerifyMode mode, std::string directory, const Cancel& cancel);
  ~Verifier();  // does not check the remaining ones
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  // Adds a database whose file is complete and on disk. `bytes` is its size.
  void add(const std::string& name, std::uint64_t bytes);
  // Adds a database that need not be checked, because exactly these bytes were checked before.
  void accept(const std::string& name, FileCheck earlier);
  // Calls `rename`, which renames the directory and returns its new path, while no check is about to begin.
  void move(const std::function<std::string()>& rename);

  // Waits, and then fills in for every database without an error whether it is verified, and what was found.
  // All of them must have been added. A database whose child dies or takes too long has failed. Throws
  // Error{kCancelled} after filling in those that were checked before.
  void record(Manifest& manifest);

 private:
  struct File {
    std::string name;
    std::uint64_t bytes = 0;
  };

  void run();
  FileCheck check(const File& file);
  std::string directory() const;

  const VerifyMode mode_;
  Cancel stop_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::string directory_;
  std::deque<File> waiting_;
  std::size_t added_ = 0;
  bool checking_ = false;
  std::map<std::string, FileCheck> checked_;
  std::exception_ptr failure_;
  std::thread thread_;
};

// Runs check_file in a child of this program.
FileCheck check_file_in_child(const std::string& path, CheckDepth depth, std::uint64_t size_bytes,
                              const Cancel& cancel, std::uint64_t max_stall_ms = kMaxStallMs);

}  // namespace litepull
