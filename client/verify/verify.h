// Checks a published snapshot's databases, each in a child process with limits.
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

// Checks databases one after the other in the background, while others are still on their way.
class Verifier {
 public:
  // Of the snapshot in `directory`. `cancel` must outlive it.
  Verifier(VerifyMode mode, std::string directory, const Cancel& cancel);
  ~Verifier();  // what was not checked by then is not
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  // A database's file, whole and on disk.
  void add(const std::string& name, std::uint64_t bytes);
  // A database that need not be checked, since its very bytes were before.
  void accept(const std::string& name, FileCheck earlier);
  // Has the directory renamed, to what `rename` returns, while no check is about to begin.
  void move(const std::function<std::string()>& rename);

  // Waits, and fills in verified, and what was found, of every database that has no error; all of them must
  // have been added. A child that dies or takes too long is a database that failed. Throws Error{kCancelled},
  // with those filled in that were checked before.
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

// check_file in a child of this program.
FileCheck check_file_in_child(const std::string& path, CheckDepth depth, std::uint64_t size_bytes,
                              const Cancel& cancel, std::uint64_t max_stall_ms = kMaxStallMs);

}  // namespace litepull
